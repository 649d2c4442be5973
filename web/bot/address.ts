// Who this page is: the meeting and the sealed token that it was opened with.
//
// They leave the visible URL at once, so that no screen share, history or referrer shows the token, and stay in the
// session's storage, so that a reload finds them. A new address replaces the old one.

/** Opens the meeting's socket. */
export interface Address {
  meetingId: string;
  token: string;
}

const STORED = ["meeting_id", "tenant_id", "t"] as const;

/** Takes the address out of the URL, or out of the storage after a reload; `undefined` if there is none. */
export function takeAddress(
  location: Location,
  history: History,
  storage: Storage,
): Address | undefined {
  const query = new URLSearchParams(location.search);
  if (query.has("t")) {
    for (const name of STORED) storage.setItem(name, query.get(name) ?? "");
  }
  if (location.search !== "" || location.hash !== "") {
    history.replaceState(null, "", location.pathname);
  }
  const meetingId = storage.getItem("meeting_id");
  const token = storage.getItem("t");
  return meetingId && token ? { meetingId, token } : undefined;
}

/** The URL of the meeting's socket, on the page's own origin. */
export function socketUrl(location: Location, address: Address): string {
  const url = new URL("/bot/socket", location.origin);
  url.protocol = location.protocol === "http:" ? "ws:" : "wss:";
  url.searchParams.set("meeting_id", address.meetingId);
  url.searchParams.set("t", address.token);
  return url.href;
}
