//! Threads in turns and virtual time, without a network.

use std::sync::mpsc;

use super::*;

/// Eight hosts that sleep until the same moments.
fn crowd(seed: u64) -> Vec<String> {
    let (sim, notes) = (Sim::new(seed), Notes::default());
    for number in 0..8 {
        let (host, notes) = (sim.host(&format!("host {number}")), notes.clone());
        sim.spawn(&host.clone(), move |_| {
            for round in 0..5 {
                host.sleep(SECOND);
                notes.add(format!("{} {round} {:?}", host.name(), host.now()));
            }
            Ok(())
        });
    }
    sim.run().unwrap();
    assert_eq!(sim.now(), Timestamp::ZERO + 5 * SECOND);
    notes.all()
}

#[test]
fn the_order_of_threads_comes_from_the_seed() {
    let once = crowd(1);
    assert_eq!(once.len(), 40);
    assert_eq!(once, crowd(1));
    assert_ne!(once, crowd(2));
}

#[test]
fn an_hour_passes_at_once() {
    let mut sim = Sim::new(1);
    sim.time_limit(Duration::from_secs(1_000_000));
    let host = sim.host("sleeper");
    sim.spawn(&host.clone(), move |_| {
        host.sleep(Duration::from_secs(999_999));
        Ok(())
    });
    sim.run().unwrap();
    assert_eq!(sim.now(), Timestamp::ZERO + Duration::from_secs(999_999));
}

#[test]
fn a_world_without_programs_is_over_at_once() {
    let sim = Sim::new(1);
    let _ = sim.host("idle");
    sim.run().unwrap();
    sim.run().unwrap();
}

#[test]
fn a_hosts_error_ends_the_run_and_names_host_and_seed() {
    let sim = Sim::new(77);
    let (good, bad) = (sim.host("good"), sim.host("bad"));
    sim.spawn(&good.clone(), move |_| {
        good.sleep(SECOND);
        unreachable!("the run is over before")
    });
    sim.spawn(&bad, |_| Err("no luck".into()));
    let error = sim.run().unwrap_err();
    assert_eq!(error.to_string(), r#"host "bad" failed: no luck (seed 77)"#);
}

#[test]
fn a_hosts_panic_ends_the_run_and_unwinds_the_others() {
    struct Told(Notes);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.add("unwound");
        }
    }
    let (sim, notes) = (Sim::new(3), Notes::default());
    let (waiting, bad) = (sim.host("waiting"), sim.host("bad"));
    let told = Told(notes.clone());
    sim.spawn(&waiting.clone(), move |_| {
        let _told = told;
        waiting.sleep(2 * SECOND);
        unreachable!("the run is over before")
    });
    sim.spawn(&bad.clone(), move |_| {
        bad.sleep(SECOND);
        panic!("on purpose")
    });
    let error = sim.run().unwrap_err();
    assert_eq!(error.to_string(), r#"host "bad" panicked in thread "main": on purpose (seed 3)"#);
    assert_eq!(notes.all(), ["unwound"]);
}

#[test]
fn a_program_that_serves_does_not_hold_up_the_end() {
    let sim = Sim::new(1);
    let (server, client) = (sim.host("server"), sim.host("client"));
    sim.serve(&server.clone(), move |_| {
        loop {
            server.sleep(SECOND);
        }
    });
    sim.spawn(&client.clone(), move |_| {
        client.sleep(10 * SECOND);
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn a_run_without_end_fails_at_its_limit_and_says_who_waits() {
    let mut sim = Sim::new(4);
    sim.time_limit(10 * SECOND);
    let host = sim.host("clock");
    sim.spawn(&host.clone(), move |_| {
        loop {
            host.sleep(3 * SECOND);
        }
    });
    let error = sim.run().unwrap_err().to_string();
    let expected = "not at an end after 10s of virtual time:\n    clock/main waits for time to pass until \
                    12.000000000s (seed 4)";
    assert_eq!(error, expected);
}

#[test]
fn a_host_that_waits_outside_of_the_simulation_is_named() {
    let mut sim = Sim::new(5);
    sim.turn_limit(Duration::from_millis(50));
    let (release, held) = mpsc::channel::<()>();
    let (holder, other) = (sim.host("holder"), sim.host("other"));
    sim.spawn(&other.clone(), move |_| {
        other.sleep(2 * SECOND);
        Ok(())
    });
    sim.spawn(&holder.clone(), move |_| {
        holder.sleep(SECOND);
        let _ = held.recv(); // the standard library knows nothing of turns
        Ok(())
    });
    let error = sim.run().unwrap_err().to_string();
    drop(release);
    let expected = "host \"holder\" held its turn for 50ms of real time in thread \"main\" at 1.000000000s;\n    \
                    other/main waits for time to pass until 2.000000000s (seed 5)";
    assert_eq!(error, expected);
}

#[test]
fn threads_that_never_ran_are_sent_home() {
    struct Told(mpsc::Sender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let (told, gone) = mpsc::channel();
    let told = Told(told);
    let sim = Sim::new(1);
    let host = sim.host("never");
    sim.spawn(&host, move |_| {
        let _told = told;
        unreachable!("there is no run")
    });
    drop(sim);
    gone.recv().unwrap();
}
