//! A microphone and a loudspeaker through the system's audio, which is ALSA with pipes for devices.

#![cfg(target_os = "linux")]

// The module is marked as a test so that its helpers may unwrap.
#[cfg(test)]
mod both_ways;
