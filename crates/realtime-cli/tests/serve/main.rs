//! The server from outside: over loopback, with the emulator inside.

#![cfg(feature = "serve")]

// The modules are marked as tests so that their helpers may unwrap.
#[cfg(test)]
mod access;
#[cfg(test)]
mod carriers;
#[cfg(test)]
mod dialling;
#[cfg(test)]
mod ending;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod options;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod phones;
#[cfg(test)]
mod sip;
#[cfg(test)]
mod support;
#[cfg(test)]
#[cfg(all(feature = "otlp", unix))]
mod telemetry;
