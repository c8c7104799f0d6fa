//! The carriers' messages, one file each. Five send JSON with much in common, which `texts` reads.

mod exotel;
mod genesys;
mod jambonz;
mod plivo;
mod signalwire;
mod telnyx;
mod texts;
mod twilio;
mod vonage;

pub use self::exotel::Exotel;
pub use self::genesys::Genesys;
pub use self::jambonz::Jambonz;
pub use self::plivo::Plivo;
pub use self::signalwire::SignalWire;
pub use self::telnyx::Telnyx;
pub use self::twilio::Twilio;
pub use self::vonage::Vonage;
