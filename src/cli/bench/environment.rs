//! Where a bench ran: what its figures depend on beside the transports.

use std::fmt;
use std::fs;
use std::thread;

/// This machine, as far as it tells.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    cpu: String,
    cpus: usize,
    kernel: String,
    loopback_mtu: String,
}

impl Environment {
    /// Asks the system.
    pub(crate) fn of_this_machine() -> Self {
        Self {
            cpu: cpu_model(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            cpus: thread::available_parallelism().map_or(1, usize::from),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            loopback_mtu: first_line("/sys/class/net/lo/mtu"),
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "CPU          {}, {} of them usable", self.cpu, self.cpus)?;
        writeln!(f, "kernel       {}", self.kernel)?;
        write!(f, "loopback MTU {}", self.loopback_mtu)
    }
}

fn cpu_model(cpuinfo: &str) -> String {
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(unknown, |(_, name)| name.trim().to_owned())
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().map_or_else(unknown, str::to_owned)
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_named_where_the_kernel_names_it() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 3.00GHz\nflags\t: fpu\nmodel name\t: Another\n";
        assert_eq!(cpu_model(cpuinfo), "Some CPU @ 3.00GHz");
        assert_eq!(cpu_model(""), "unknown");
    }

    #[test]
    fn this_machine_says_something_of_everything() {
        let text = Environment::of_this_machine().to_string();
        for word in ["CPU ", "kernel ", "loopback MTU "] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}
