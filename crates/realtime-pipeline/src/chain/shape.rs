//! Which chains can't work: [`Shape`] says what a stage is for its chain, [`WrongChain`] why they do not fit.

/// What a stage, or many of them, is for its chain. Stages in a row and stages side by side add up.
#[doc(alias("ServiceMetadataFrame", "LLMServiceMetadataFrame", "STTMetadataFrame"))]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Shape {
    services: usize,
    speaks: bool,
    playouts: usize,
    playout_first: bool,
}

impl Shape {
    /// The service: it gets the session's events and all intents. `speaks`: whether its output is audio.
    pub const fn service(speaks: bool) -> Self {
        Self { services: 1, speaks, playouts: 0, playout_first: false }
    }

    /// The playout: it takes output audio, and tells what was played.
    pub const fn playout() -> Self {
        Self { services: 0, speaks: false, playouts: 1, playout_first: false }
    }

    /// This, and `next` downstream of it.
    #[must_use]
    pub const fn then(self, next: Self) -> Self {
        let sum = self.sum(next);
        Self { playout_first: sum.playout_first || (self.playouts > 0 && next.services > 0), ..sum }
    }

    /// This, and `other` in another branch.
    #[must_use]
    pub const fn beside(self, other: Self) -> Self {
        let crossed = (self.playouts > 0 && other.services > 0) || (self.services > 0 && other.playouts > 0);
        let sum = self.sum(other);
        Self { playout_first: sum.playout_first || crossed, ..sum }
    }

    /// Returns whether the service is in it.
    pub const fn has_service(self) -> bool {
        self.services > 0
    }

    /// Checks a whole chain.
    ///
    /// # Errors
    /// [`WrongChain`]: what does not fit.
    pub const fn check(self) -> Result<(), WrongChain> {
        if self.services > 1 {
            return Err(WrongChain::ManyServices { services: self.services });
        }
        if self.playouts > 1 {
            return Err(WrongChain::ManyPlayouts { playouts: self.playouts });
        }
        if self.playout_first {
            return Err(WrongChain::PlayoutBeforeService);
        }
        if self.speaks && self.playouts == 0 {
            return Err(WrongChain::NoPlayout);
        }
        Ok(())
    }

    const fn sum(self, other: Self) -> Self {
        Self {
            services: self.services + other.services,
            speaks: self.speaks || other.speaks,
            playouts: self.playouts + other.playouts,
            playout_first: self.playout_first || other.playout_first,
        }
    }
}

/// Why stages make no chain.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WrongChain {
    /// Intents and events would have no one place to go: keep one service.
    #[error("expected at most one service, got {services}")]
    ManyServices {
        /// How many there are.
        services: usize,
    },
    /// Audio would be played twice, and nobody could say what was heard: keep one playout.
    #[error("expected at most one playout, got {playouts}")]
    ManyPlayouts {
        /// How many there are.
        playouts: usize,
    },
    /// The service's audio would not pass the playout: put the playout downstream of the service.
    #[error("expected the playout downstream of the service")]
    PlayoutBeforeService,
    /// Audio would leave the chain at once, faster than it sounds: add a playout, or ask for text.
    #[error("expected a playout downstream of a service whose output is audio")]
    NoPlayout,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: Shape = Shape::service(true);
    const PLAYOUT: Shape = Shape::playout();

    #[test]
    fn a_chain_that_can_not_work_is_told_why() {
        let other = Shape::default();
        for (shape, expected) in [
            (other, Ok(())),
            (PLAYOUT, Ok(())),
            (SERVICE.then(other).then(PLAYOUT), Ok(())),
            (other.beside(SERVICE.then(PLAYOUT)), Ok(())),
            (Shape::service(false), Ok(())),
            (SERVICE, Err(WrongChain::NoPlayout)),
            (PLAYOUT.then(other).then(SERVICE), Err(WrongChain::PlayoutBeforeService)),
            (SERVICE.beside(PLAYOUT), Err(WrongChain::PlayoutBeforeService)),
            (PLAYOUT.beside(SERVICE), Err(WrongChain::PlayoutBeforeService)),
            (SERVICE.then(PLAYOUT).then(PLAYOUT), Err(WrongChain::ManyPlayouts { playouts: 2 })),
            (SERVICE.beside(SERVICE).then(PLAYOUT), Err(WrongChain::ManyServices { services: 2 })),
        ] {
            assert_eq!(shape.check(), expected, "{shape:?}");
        }
    }
}
