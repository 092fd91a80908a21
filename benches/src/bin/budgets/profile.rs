//! A callgrind profile with `--dump-instr=yes`, and what it shows of one request.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Bytes of a cache line.
const LINE: u64 = 64;
/// The functions of the Rust allocator that return memory.
const ALLOCATORS: [&str; 3] = ["__rust_alloc", "__rust_alloc_zeroed", "__rust_realloc"];

/// The executions of each instruction, and the entries of the allocator.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// The program that was run.
    program: PathBuf,
    /// By object file and address.
    executions: HashMap<String, HashMap<u64, u64>>,
    /// The instructions of functions that allocate, by function and address.
    allocators: HashMap<String, BTreeMap<u64, u64>>,
}

impl Profile {
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        Ok(Self::parse(&fs::read_to_string(path)?))
    }

    /// Parses the format that valgrind's manual describes in "Callgrind Format Specification".
    fn parse(text: &str) -> Self {
        let mut profile = Self::default();
        let (mut objects, mut functions) = (Names::default(), Names::default());
        let (mut object, mut function) = (String::new(), String::new());
        let mut address = 0;
        let mut is_call = false;
        for line in text.lines() {
            if let Some(command) = line.strip_prefix("cmd: ") {
                profile.program = command.trim().split(' ').next().unwrap_or_default().into();
                continue;
            }
            match line.split_once('=') {
                Some(("ob", name)) => object = objects.resolve(name),
                Some(("cob", name)) => drop(objects.resolve(name)),
                Some(("fn", name)) => function = functions.resolve(name),
                Some(("cfn", name)) => drop(functions.resolve(name)),
                Some(("calls", _)) => is_call = true,
                Some(_) => {}
                None => {
                    let mut words = line.split(' ');
                    let (Some(position), Some(cost)) = (words.next(), words.next_back()) else {
                        continue;
                    };
                    let (Some(at), Ok(cost)) = (moved(address, position), cost.parse::<u64>())
                    else {
                        continue;
                    };
                    address = at;
                    // The line after a call has the inclusive cost of the callee.
                    if !std::mem::take(&mut is_call) {
                        let executions = profile.executions.entry(object.clone()).or_default();
                        *executions.entry(address).or_default() += cost;
                        if ALLOCATORS.iter().any(|name| function.ends_with(name)) {
                            let entries = profile.allocators.entry(function.clone()).or_default();
                            *entries.entry(address).or_default() += cost;
                        }
                    }
                }
            }
        }
        profile
    }

    /// The program that was run.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// All instructions.
    pub(crate) fn instructions(&self) -> u64 {
        self.executions.values().flat_map(HashMap::values).sum()
    }

    /// Executions of the instructions at these addresses of an object file.
    pub(crate) fn executions_at(&self, object: &Path, addresses: &HashSet<u64>) -> u64 {
        let executions = object.to_str().and_then(|name| self.executions.get(name));
        let executions = executions.into_iter().flatten();
        executions
            .filter(|(address, _)| addresses.contains(address))
            .map(|(_, count)| count)
            .sum()
    }

    /// Bytes of the cache lines whose code runs at least this often.
    pub(crate) fn code_bytes(&self, at_least: u64) -> u64 {
        let lines = self.executions.values().map(|executions| {
            let often = executions.iter().filter(|(_, count)| **count >= at_least);
            let lines: HashSet<u64> = often.map(|(address, _)| address / LINE).collect();
            lines.len() as u64 * LINE
        });
        lines.sum()
    }

    /// Calls of the Rust allocator that return memory: executions of the first instruction,
    /// because callgrind counts calls also while it does not collect costs.
    pub(crate) fn allocations(&self) -> u64 {
        let entries = self
            .allocators
            .values()
            .filter_map(BTreeMap::first_key_value);
        entries.map(|(_, count)| count).sum()
    }
}

/// Names that are written once, as `(1) name`, and then by number.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn resolve(&mut self, text: &str) -> String {
        let Some((number, name)) = text.split_once(')') else {
            return text.to_owned();
        };
        let name = name.trim();
        if !name.is_empty() {
            self.0.insert(number.to_owned(), name.to_owned());
        }
        self.0.get(number).cloned().unwrap_or_default()
    }
}

/// The position that a cost line states: absolute, relative to the last one, or the same.
fn moved(from: u64, position: &str) -> Option<u64> {
    if let Some(digits) = position.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    match position.split_at_checked(1)? {
        ("+", ahead) => from.checked_add(ahead.parse().ok()?),
        ("-", back) => from.checked_sub(back.parse().ok()?),
        ("*", "") => Some(from),
        _ => None,
    }
}

/// The addresses of locked instructions in a program, by objdump.
pub(crate) fn locked_instructions(program: &Path) -> io::Result<HashSet<u64>> {
    let mut child = Command::new("objdump")
        .args(["--disassemble", "--no-show-raw-insn"])
        .arg(program)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("cannot run objdump: {error}")))?;
    let mut locked = HashSet::new();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).split(b'\n') {
        let line = line?;
        locked.extend(locked_instruction(&String::from_utf8_lossy(&line)));
    }
    match child.wait()?.success() {
        true => Ok(locked),
        false => Err(io::Error::other("objdump failed")),
    }
}

/// The address of a line of assembly, if its instruction locks memory: with the prefix, or
/// as an exchange with memory, which always does.
fn locked_instruction(line: &str) -> Option<u64> {
    let (address, instruction) = line.trim_start().split_once(":\t")?;
    let locks = instruction.starts_with("lock")
        || instruction.starts_with("xchg") && instruction.contains('(');
    locks
        .then(|| u64::from_str_radix(address, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
version: 1
cmd:  /bin/program --flag
positions: instr line
events: Ir

ob=(1) /bin/program
fl=(1) lib.rs
fn=(1) program::request
0x1000 10 5
+4 * 5
cob=(2) /lib/libc.so
cfn=(2) __rustc::__rust_alloc
calls=3 0x2000 1
* * 90
+60 12 5
ob=(2)
fn=(2)
0x2000 1 3
+4 1 87
fn=(3) __rustc::__rust_realloc
0x3004 1 2
-4 1 2
ob=(1)
fn=(1)
cfn=(2)
calls=2 0x2000 1
0x1004 11 60
0x1004 11 5

totals: 111
";

    #[test]
    fn profile_has_counts_by_object_and_address() {
        let profile = Profile::parse(PROFILE);
        assert_eq!(profile.program(), Path::new("/bin/program"));
        assert_eq!(profile.instructions(), 5 + 5 + 5 + 3 + 87 + 2 + 2 + 5);
        assert_eq!(profile.allocations(), 3 + 2);
        let addresses = HashSet::from([0x1004, 0x2000]);
        let program = Path::new("/bin/program");
        assert_eq!(profile.executions_at(program, &addresses), 10);
        assert_eq!(profile.executions_at(Path::new("/other"), &addresses), 0);
        // 0x1000 and 0x1004 share a line, 0x1040 is in the next; two are in the library.
        assert_eq!(profile.code_bytes(2), 4 * LINE);
        assert_eq!(profile.code_bytes(6), 2 * LINE);
    }

    #[test]
    fn locked_instructions_are_those_with_a_prefix_or_an_exchange_with_memory() {
        for (line, address) in [
            ("   1b9: \tlock cmpxchg %rcx,(%rdi)", None),
            ("   1b9:\tlock cmpxchg %rcx,(%rdi)", Some(0x1b9)),
            ("  2c01:\txchg   %eax,0x8(%rbx)", Some(0x2c01)),
            ("  2c01:\txchg   %ax,%ax", None),
            ("  2c01:\tmov    %eax,(%rbx)", None),
            ("0000000000001000 <block>:", None),
        ] {
            assert_eq!(locked_instruction(line), address, "{line}");
        }
    }
}
