//! The emulator as a client sees it: in virtual time, and once over a socket.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is their failure")]

mod calls;
mod context;
mod dialects;
mod disasters;
mod driver;
mod errors;
mod far;
mod http;
mod items;
mod mcp;
mod page;
mod profiles;
mod random;
mod rehearsals;
mod responses;
mod rough;
mod scripts;
mod session;
mod silence;
mod socket;
mod spoken_over;
mod turns;
mod violations;
