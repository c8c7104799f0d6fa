//! Both ends of one transport: [`Transport`].

use crate::edges::{Sink, Source};

/// What a call is held over: it gives a source and a sink.
///
/// A pair of a source and a sink is one:
/// `(WavSource::open("question.wav")?, WavSink::create("answer.wav")?)`.
#[doc(alias = "BaseTransport")]
pub trait Transport {
    /// Gives both ends.
    fn split(self) -> (Box<dyn Source>, Box<dyn Sink>);
}

impl<A: Source + 'static, B: Sink + 'static> Transport for (A, B) {
    fn split(self) -> (Box<dyn Source>, Box<dyn Sink>) {
        (Box::new(self.0), Box::new(self.1))
    }
}
