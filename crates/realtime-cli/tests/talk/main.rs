//! `realtime talk` from outside: the program with ALSA devices that are pipes, and the emulator inside.

#![cfg(all(feature = "talk", target_os = "linux"))]

// The module is marked as a test so that its helpers may unwrap.
#[cfg(test)]
mod conversation;
