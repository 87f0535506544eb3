//! What the data path costs the kernel: the verifier's work and stack of each program, the memory of each map.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use aya::maps::{MapInfo, MapType};
use aya::util::nr_cpus;
use aya_obj::Object;
use aya_obj::generated::bpf_insn;
use serde::Deserialize;
use vswitch::datapath::{Bpf, OBJECT, Settings};
use vswitch_common::limits;

/// The frame pointer, from which stack addresses are taken.
const FRAME_POINTER: u8 = 10;
/// The class bits of an instruction's code (RFC 9669 section 3.1).
const CLASS: u8 = 0x07;
/// Classes that load from memory at a register, and store to it.
const LDX: u8 = 0x01;
const ST: u8 = 0x02;
const STX: u8 = 0x03;
/// `r = r10` and `r += constant`: how a stack address is made.
const MOV64_REGISTER: u8 = 0xbf;
const ADD64_CONSTANT: u8 = 0x07;

/// Cost of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramCost {
    /// Instructions that the verifier walked, each path counted: the kernel refuses beyond a million.
    pub verified_instructions: u64,
    /// Bytes of stack that the code names, with those of the deepest function that it calls: the kernel refuses beyond 512.
    pub stack_bytes: u64,
    /// Bytes of the program as the kernel keeps it, before it becomes machine code.
    pub translated_bytes: u64,
}

/// Cost of one map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapCost {
    /// Bytes of kernel memory, however many CPUs there are.
    pub bytes: u64,
    /// And for each possible CPU.
    #[serde(default)]
    pub bytes_per_cpu: u64,
}

/// Cost of everything that is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// By program name.
    #[serde(rename = "program")]
    pub programs: BTreeMap<String, ProgramCost>,
    /// By map name.
    #[serde(rename = "map")]
    pub maps: BTreeMap<String, MapCost>,
}

impl Costs {
    /// Loads the data path at its default limits, which is all that it can do today, and asks the kernel. `bpffs` is
    /// an empty one.
    ///
    /// # Errors
    /// When the kernel refuses, or is older than 5.16 and does not count.
    pub fn measure(bpffs: &Path) -> Result<Self> {
        let pins = bpffs.join("vswitch");
        let settings =
            Settings { pins, fdb_dynamic: limits::FDB_DYNAMIC_DEFAULT, station_moves: 0, tc_mode: None };
        let (bpf, _rings, _adopted) = Bpf::open(&settings)?;
        let mut stacks = stack_bytes(OBJECT)?;
        let (mut programs, mut used) = (BTreeMap::new(), BTreeSet::new());
        for (name, program) in bpf.programs() {
            let info = program.info()?;
            let verified = info.verified_instruction_count();
            let cost = ProgramCost {
                verified_instructions: verified.context("the kernel counts from Linux 5.16 on")?.into(),
                stack_bytes: stacks.remove(name).unwrap_or_default(),
                translated_bytes: info.size_translated().unwrap_or_default().into(),
            };
            programs.insert(name.to_owned(), cost);
            used.extend(info.map_ids()?.unwrap_or_default());
        }
        let map = |id| {
            let info = MapInfo::from_id(id)?;
            let name = info.name_as_str().context("a map has a name")?.to_owned();
            Ok((name, map_cost(&info)?))
        };
        let maps = used.into_iter().map(map).collect::<Result<_>>()?;
        Ok(Self { programs, maps })
    }
}

/// Possible CPUs of this machine.
///
/// # Errors
/// When the kernel does not say.
pub fn cpus() -> Result<u64> {
    let cpus = nr_cpus().map_err(|(file, error)| anyhow::Error::new(error).context(file))?;
    Ok(cpus as u64)
}

/// A map's memory as the kernel accounts for it, and which part of that is there once for each CPU.
fn map_cost(info: &MapInfo) -> Result<MapCost> {
    let fd = info.fd()?;
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()))?;
    let memory = about.lines().find_map(|line| line.strip_prefix("memlock:"));
    let memory: u64 = memory.context("the kernel says what a map takes")?.trim().parse()?;
    let bytes_per_cpu = match info.map_type()? {
        // Values of per-CPU maps are padded to words (kernel/bpf/arraymap.c).
        MapType::PerCpuArray => {
            u64::from(info.max_entries()) * u64::from(info.value_size().next_multiple_of(8))
        }
        _ => 0,
    };
    Ok(MapCost { bytes: memory.saturating_sub(bytes_per_cpu * cpus()?), bytes_per_cpu })
}

/// Stack of each program in an object: its own and that of its deepest callee, which is as deep as calls go here.
fn stack_bytes(object: &[u8]) -> Result<BTreeMap<String, u64>> {
    let mut object = Object::parse(object)?;
    let own: BTreeMap<String, usize> = object
        .programs
        .iter()
        .map(|(name, program)| (name.clone(), object.functions[&program.function_key()].instructions.len()))
        .collect();
    let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    // Puts what a program calls behind its own instructions.
    object.relocate_calls(&sections)?;
    let stack = |(name, length): (String, usize)| {
        let linked = &object.functions[&object.programs[&name].function_key()].instructions;
        let (own, called) = linked.split_at(length);
        (name, deepest(own) + deepest(called))
    };
    Ok(own.into_iter().map(stack).collect())
}

/// How far below the frame pointer the instructions reach.
fn deepest(instructions: &[bpf_insn]) -> u64 {
    let accessed = instructions.iter().filter_map(|instruction| {
        let base = match instruction.code & CLASS {
            LDX => instruction.src_reg(),
            ST | STX => instruction.dst_reg(),
            _ => return None,
        };
        (base == FRAME_POINTER).then_some(i64::from(instruction.off))
    });
    let addressed = instructions.windows(2).filter_map(|pair| {
        let [copy, add] = pair else { return None };
        let is_address = copy.code == MOV64_REGISTER
            && copy.src_reg() == FRAME_POINTER
            && add.code == ADD64_CONSTANT
            && add.dst_reg() == copy.dst_reg();
        is_address.then_some(i64::from(add.imm))
    });
    accessed.chain(addressed).min().unwrap_or(0).min(0).unsigned_abs()
}
