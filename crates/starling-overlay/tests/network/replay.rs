//! The same seed gives the same run, whatever the run does.

use starling_proto::time::Span;

use super::net::{Net, public, record};

fn trace(seed: u64) -> String {
    let mut net = Net::new(seed);
    net.trace = Some(blake3::Hasher::new());
    net.loss = 30;
    for n in 0..50 {
        net.add(public(n));
        if n > 0 {
            net.join(n, n / 2);
        }
        net.run_for(Span::from_ms(300));
    }
    net.run_for(Span::from_secs(30));
    net.publish(9, &record(1, 1, 1, "alice"));
    net.kill(20);
    net.restart(21);
    net.run_for(Span::from_secs(120));
    net.fetch(30, &record(1, 1, 1, "alice"));
    net.trace.unwrap().finalize().to_string()
}

#[test]
fn same_seed_same_trace() {
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}
