//! Arrays against the real NumPy, in both directions: `spec/content.md`, section "Arrays".
//!
//! NumPy is installed by pip into an environment of the test's own, below `target`. Where Python or NumPy cannot be
//! had, the test says so and passes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bytes::Bytes;
use udpair::content::{Array, DType, DTypeError, Element, Endian, Kind, NpyError, Order};

/// NumPy's side.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/numpy/arrays.py");

/// The interpreter of an environment that has NumPy; else why there is none.
fn python() -> Result<PathBuf, String> {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("numpy");
    let python = environment.join("bin/python");
    let has_numpy = || run(Command::new(&python).args(["-c", "import numpy"])).is_ok();
    if !has_numpy() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "numpy"]))?;
    }
    if has_numpy() { Ok(python) } else { Err("NumPy was installed and cannot be imported".to_owned()) }
}

fn run(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{:?} {}: {}", command.get_program(), output.status, said.trim()))
}

fn numpy(python: &Path, verb: &str, dir: &Path) -> String {
    let output = run(Command::new(python).arg(SCRIPT).arg(verb).arg(dir)).unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A line of the manifest: see the script.
fn line(name: &str, array: &Array) -> String {
    let order = if array.order() == Order::Fortran { "fortran" } else { "c" };
    let shape: Vec<String> = array.shape().iter().map(usize::to_string).collect();
    let shape = if shape.is_empty() { "scalar".to_owned() } else { shape.join("x") };
    let data: String = array.data().iter().map(|byte| format!("{byte:02x}")).collect();
    let data = if data.is_empty() { "-" } else { &data };
    format!("{name} {} {order} {shape} {data}", array.dtype())
}

/// For each item as it lies in memory, its number in C order.
fn numbers(shape: &[usize], order: Order) -> Vec<usize> {
    let len = shape.iter().product();
    if order == Order::C {
        return (0..len).collect();
    }
    // The first index runs fastest.
    (0..len)
        .map(|mut at| {
            let index: Vec<usize> = shape.iter().map(|len| (at % len, at /= len).0).collect();
            index.iter().zip(shape).fold(0, |number, (index, len)| number * len + index)
        })
        .collect()
}

/// The items that stand at these numbers: 3 k + 1, as `T` has it.
fn items<T>(numbers: &[usize], make: impl Fn(u8) -> T) -> Vec<T> {
    numbers.iter().map(|k| make(u8::try_from(3 * k + 1).expect("small arrays"))).collect()
}

/// Calls `$do` with the items of an array of type `$dtype`, as Rust has them; false where Rust has none of the kind.
macro_rules! with_items {
    ($dtype:expr, $numbers:expr, $do:expr) => {
        match ($dtype.kind(), $dtype.size()) {
            (Kind::Bool, 1) => $do(items::<bool>($numbers, |k| k % 2 == 1)),
            (Kind::Int, 1) => $do(items($numbers, |k| i8::try_from(k).expect("small"))),
            (Kind::Int, 2) => $do(items($numbers, i16::from)),
            (Kind::Int, 4) => $do(items($numbers, i32::from)),
            (Kind::Int, 8) => $do(items($numbers, i64::from)),
            (Kind::Uint, 1) => $do(items($numbers, u8::from)),
            (Kind::Uint, 2) => $do(items($numbers, u16::from)),
            (Kind::Uint, 4) => $do(items($numbers, u32::from)),
            (Kind::Uint, 8) => $do(items($numbers, u64::from)),
            (Kind::Float, 4) => $do(items($numbers, f32::from)),
            (Kind::Float, 8) => $do(items($numbers, f64::from)),
            (Kind::Complex, 8) => $do(items($numbers, |k| [f32::from(k), -2.0 * f32::from(k)])),
            (Kind::Complex, 16) => $do(items($numbers, |k| [f64::from(k), -2.0 * f64::from(k)])),
            _ => false,
        }
    };
}

fn holds<T: Element + core::fmt::Debug>(array: &Array, expected: &[T]) -> bool {
    assert_eq!(*array.items::<T>().unwrap(), *expected, "{array:?}");
    true
}

/// We read what NumPy wrote.
fn read_theirs(dir: &Path) {
    let manifest = fs::read_to_string(dir.join("manifest")).expect("a manifest");
    let (mut read, mut typed) = (0, 0);
    for expected in manifest.lines() {
        let name = expected.split(' ').next().expect("a name");
        let npy = fs::read(dir.join(name)).expect("a file");
        let array = Array::from_npy(npy.into()).unwrap_or_else(|error| panic!("{error}: {expected}"));
        assert_eq!(line(name, &array), expected);
        let numbers = numbers(array.shape(), array.order());
        typed += usize::from(with_items!(array.dtype(), &numbers, |items: Vec<_>| holds(&array, &items)));
        read += 1;
    }
    assert_eq!(read, 18 * 2 * 7 * 2, "types, orders of bytes, shapes, orders of items");
    assert!(typed >= 14 * 2 * 7 * 2 && typed < read, "{typed} with types of Rust");
    for name in ["object", "string", "bytes", "date", "record", "void"] {
        let npy = fs::read(dir.join(format!("refused-{name}.npy"))).expect("a file");
        match Array::from_npy(npy.into()) {
            Err(NpyError::DType(DTypeError::Object)) => assert_eq!(name, "object"),
            Err(NpyError::DType(DTypeError::Unknown { .. })) => assert_ne!(name, "object"),
            other => panic!("{name}: {other:?}"),
        }
    }
    println!("read {read} arrays of NumPy's, {typed} of them as types of Rust");
}

/// Writes what was read anew, of the types that Rust has not.
fn write_again(theirs: &Path, dir: &Path, manifest: &mut String) {
    let names = fs::read_to_string(theirs.join("manifest")).expect("a manifest");
    let mut written = 0;
    for name in names.lines().filter_map(|line| line.split(' ').next()) {
        let npy = fs::read(theirs.join(name)).expect("a file");
        let array = Array::from_npy(npy.into()).expect("it was read before");
        if !matches!((array.dtype().kind(), array.dtype().size()), (Kind::Float, 2 | 16) | (Kind::Complex, 32)) {
            continue;
        }
        let again = Array::from_data(array.dtype(), array.shape(), array.order(), array.data()).expect("as many bytes");
        let name = format!("again-{name}");
        fs::write(dir.join(&name), again.npy()).expect("a file");
        *manifest += &(line(&name, &again) + "\n");
        written += 1;
    }
    assert!(written >= 2 * 7 * 2, "{written} halves and long doubles");
}

/// Writes arrays of every type, for NumPy to read.
fn write_ours(theirs: &Path, dir: &Path) {
    let kinds = [Kind::Bool, Kind::Int, Kind::Uint, Kind::Float, Kind::Complex];
    let shapes: [&[usize]; 6] = [&[], &[0], &[3, 0, 2], &[5], &[2, 3], &[3, 1, 4]];
    let mut manifest = String::new();
    for (kind, size) in kinds.into_iter().flat_map(|kind| [1, 2, 4, 8, 16].map(|size| (kind, size))) {
        for endian in [Endian::Little, Endian::Big] {
            let Some(dtype) = DType::new(kind, size, endian) else { continue };
            for (shape, order) in shapes.iter().flat_map(|shape| [Order::C, Order::Fortran].map(|it| (*shape, it))) {
                let mut data = Vec::new();
                let numbers = numbers(shape, order);
                with_items!(dtype, &numbers, |items: Vec<_>| put(&mut data, &items, dtype));
                if data.is_empty() && !shape.contains(&0) {
                    continue; // f2 and long double: written from what was read
                }
                let array = Array::from_data(dtype, shape, order, &data).expect("as many items as the shape takes");
                let name = format!("{}.npy", manifest.lines().count());
                fs::write(dir.join(&name), array.npy()).expect("a file");
                manifest += &(line(&name, &array) + "\n");
            }
        }
    }
    let slice = Array::from_slice(&[1.0_f64, 4.0, 7.0, 10.0, 13.0, 16.0], &[1, 2, 3]).expect("six items");
    fs::write(dir.join("slice.npy"), slice.npy()).expect("a file");
    manifest += &(line("slice.npy", &slice) + "\n");
    write_again(theirs, dir, &mut manifest);
    fs::write(dir.join("manifest"), manifest).expect("a file");
}

/// Appends items with their bytes in the order of `dtype`.
fn put<T: Element>(data: &mut Vec<u8>, items: &[T], dtype: DType) -> bool {
    let native = Array::from_slice(items, &[items.len()]).expect("as many as there are");
    let from = data.len();
    data.extend_from_slice(native.data());
    if !dtype.is_native() {
        let part = if dtype.kind() == Kind::Complex { dtype.size() / 2 } else { dtype.size() };
        data[from..].chunks_exact_mut(part).for_each(<[u8]>::reverse);
    }
    true
}

#[test]
fn numpy_reads_our_arrays_and_we_read_numpys() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => {
            println!("skipped: NumPy cannot be had here, arrays were NOT checked against it: {reason}");
            return;
        }
    };
    let dir = tempfile::tempdir().expect("a directory");
    let (theirs, ours) = (dir.path().join("theirs"), dir.path().join("ours"));
    fs::create_dir(&theirs).expect("a directory");
    fs::create_dir(&ours).expect("a directory");
    numpy(&python, "write", &theirs);
    read_theirs(&theirs);
    write_ours(&theirs, &ours);
    print!("{}", numpy(&python, "read", &ours));
    // What came from NumPy goes back as it came.
    let name = theirs.join("0.npy");
    let npy = Bytes::from(fs::read(name).expect("a file"));
    assert_eq!(*Array::from_npy(npy.clone()).expect("an array").npy(), npy);
}
