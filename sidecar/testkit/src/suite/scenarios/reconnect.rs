//! The connection to the broker is cut in each of the ways that the source names, while events are on their way. When
//! it is mended, everything arrives and is settled, without a restart.

use outrigger_function::{Action, Program};

use crate::{
    Trouble,
    suite::{Stage, scenario::Need, stage::events},
};

/// A source owes it whose sidecar holds a connection.
pub const NEED: Need = Need::Reconnect;

const EVENTS: usize = 200;

/// Plays it.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn play(stage: Stage) {
    let reconnect = *stage.capabilities.reconnect.get();
    let proxy =
        stage.source.proxy().expect("a source whose connection can be cut is given out behind a proxy");
    stage.function.set_program(Program::always(Action::delay_ms(5)));
    let mut process = stage.start().await;
    let mut allowed = 0;
    for trouble in reconnect.troubles {
        let ended = stage.function.stats().ended;
        stage.publish(&events(&format!("{trouble:?}"), EVENTS, 20)).await;
        stage.until("some done", |stats| stats.ended >= ended + 20).await;
        let cut_us = stage.last_end_us();
        proxy.set(*trouble);
        // It tries to come back, and cannot.
        let before = proxy.connections();
        let look = async || Ok(proxy.connections());
        stage.poll(&format!("a new connection in spite of {trouble:?}"), look, |now| *now > before).await;
        let mended_us = stage.last_end_us();
        proxy.set(Trouble::None);
        stage.until_paid().await;
        if reconnect.repeats {
            let told = stage.capabilities.settles_within;
            let unknown = std::time::Duration::from_micros(mended_us - cut_us) + told;
            allowed += stage.setup.window + stage.ended_within(unknown, mended_us);
        }
        stage.all_is_well(allowed).await;
        assert!(process.is_running(), "the process that was cut off is the one that came back");
    }
}
