// The avatar's side of the room: a picture that moves and a tone, sent over a plain peer connection.
// Run in an empty page by the test; it knows nothing of LiveKit but the names of its streams.

globalThis.publish = async ({ colour, hertz }) => {
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 360;
  const paint = canvas.getContext("2d");
  let frozen = false;
  let step = 0;
  setInterval(() => {
    if (frozen) return;
    step += 1;
    paint.fillStyle = colour;
    paint.fillRect(0, 0, 640, 360);
    paint.fillStyle = "white";
    paint.fillRect((step * 4) % 640, 340, 20, 20);
  }, 50);
  const picture = canvas.captureStream();

  const sound = new AudioContext();
  const tone = sound.createOscillator();
  const volume = sound.createGain();
  const output = sound.createMediaStreamDestination();
  tone.frequency.value = hertz;
  volume.gain.value = 0.5;
  tone.connect(volume).connect(output);
  tone.start();

  let peer;
  globalThis.freeze = (now) => {
    frozen = now;
  };
  globalThis.hush = (now) => {
    volume.gain.value = now ? 0 : 0.5;
  };
  globalThis.offer = async () => {
    peer?.close();
    peer = new RTCPeerConnection();
    peer.addTrack(picture.getVideoTracks()[0], picture);
    peer.addTrack(output.stream.getAudioTracks()[0], output.stream);
    peer.createDataChannel("_reliable");
    peer.createDataChannel("_lossy");
    await peer.setLocalDescription(await peer.createOffer());
    while (peer.iceGatheringState !== "complete") {
      await new Promise((resolve) => peer.addEventListener("icegatheringstatechange", resolve, { once: true }));
    }
    return peer.localDescription.sdp
      .replaceAll(picture.id, "PA_heygen|TR_vid")
      .replaceAll(output.stream.id, "PA_heygen|TR_aud");
  };
  globalThis.accept = (sdp) => peer.setRemoteDescription({ type: "answer", sdp });
  globalThis.candidate = (candidate) => peer.addIceCandidate(JSON.parse(candidate));
};
