//! Whole meetings in a world full of trouble, on a virtual clock.
//!
//! [`live`] lives one meeting from its booking until everything has come to rest: the core, a shell that stores,
//! crashes and forgets, and the vendors, the bot's page and the callers around them. Every chance is a number of a
//! list, so a life can be lived again, and shortened by shortening its list. At every moment and in the end the
//! promises are checked that the design makes.
//!
//! It uses the public face of the core only, as the Worker does. It does not know the vendors' wire formats; the
//! simulator and the scenarios do.

mod agenda;
mod avatar;
mod calls;
mod checks;
mod choices;
mod coverage;
mod customer;
mod ears;
mod heard;
mod life;
mod page;
mod plan;
mod recall;
mod sabotage;
mod say;
mod search;
mod shell;
mod store;
mod story;

pub use coverage::Coverage;
pub use life::{Outcome, Violation, live};
pub use sabotage::Sabotage;
pub use search::{Found, Kept, Search, kept};
