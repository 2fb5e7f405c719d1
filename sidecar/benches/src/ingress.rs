//! Durable events per second, and the floor of the server that they are compared with.

use anyhow::Result;
use std::{
    fs::File,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    Bench,
    function::Function,
    load,
    load::Load,
    report::{Bound, Figure, Floor, Report, Spread},
    server::{self, Work},
    sidecar::{Settings, Sidecar},
};

pub(crate) const NAME: &str = "journal ingress, 256 producers";
const FLOOR: &str = "group-commit server against raw appends or no commit, the slower";
const PRODUCERS: usize = 256;
const GROUP: usize = 256;
/// A fast disk need not take more for a rate to be seen.
const APPENDS_MAX: usize = 512 * GROUP;
const WARM_UP: Duration = Duration::from_millis(700);
const MEASURED: Duration = Duration::from_secs(3);

/// Raw appends, a server that keeps nothing, the baseline and ours, in turn.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let (mut raw, mut slower, mut baseline, mut ours) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let folder = bench.folder()?;
        let appends = raw_appends(folder.path())?;
        let answers = served(bench, Work::Nothing).await?;
        raw.push(appends);
        slower.push(appends.min(answers));
        baseline.push(served(bench, Work::Commit).await?);

        let stalled = Function::stalled().await?;
        let sidecar = Sidecar::start(bench, folder.path(), Settings::new(stalled.address)).await?;
        ours.push(load(sidecar.ingress).rate(WARM_UP, MEASURED).await?);
    }
    let share = Spread::of(baseline.iter().zip(&raw).map(|(baseline, raw)| baseline / raw)).median;
    let (raw, unit) = (Spread::of(raw).median, "events/s");
    report.note(format!(
        "{FLOOR}: raw appends of 256 per fsync reached {raw:.0} events/s, of which the server has {share:.2}; where \
         the disk is so fast that HTTP is the limit, it is held to the same server without a disk instead"
    ));
    let (floor, against) = (baseline.clone(), slower);
    report.floor(Floor { name: FLOOR, unit, baseline: floor, against, at_least: 0.6 });
    report.figure(Figure { name: NAME, unit, ours, baseline, bound: Bound::AtLeast(0.8) });
    Ok(())
}

/// Events per second that the baseline answers.
async fn served(bench: &Bench, work: Work) -> Result<f64> {
    let folder = bench.folder()?;
    let (_server, address) = server::start(folder.path(), work)?;
    load(address).rate(WARM_UP, MEASURED).await
}

fn load(address: std::net::SocketAddr) -> Load {
    Load { address, producers: PRODUCERS, keys: None, gate: None }
}

/// 256 events appended to a file, then one fsync, and again: nothing durable can be much faster on this disk.
fn raw_appends(folder: &Path) -> Result<f64> {
    let path = folder.join("raw");
    let mut file = File::create(&path)?;
    let group = load::body().repeat(GROUP);
    let (mut events, started) = (0, Instant::now());
    while started.elapsed() < Duration::from_secs(1) && events < APPENDS_MAX {
        file.write_all(&group)?;
        file.sync_data()?;
        events += GROUP;
    }
    let rate = events as f64 / started.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}
