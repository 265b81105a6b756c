//! Arrays of every type and shape, and headers of every kind that nobody should write.

use proptest::prelude::*;

use super::*;

fn read(npy: &[u8]) -> Result<Array, NpyError> {
    Array::from_npy(Bytes::copy_from_slice(npy))
}

/// A file of version 1.0 with this header, as it stands, and data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], header.as_bytes(), data].concat()
}

/// A file with a header of these parts, and as many bytes of data.
fn parts(descr: &str, order: &str, shape: &str, data: usize) -> Vec<u8> {
    file(&format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"), &vec![0; data])
}

#[test]
fn what_is_written_is_what_numpy_writes_and_data_begins_at_a_multiple_of_64() {
    let array = Array::from_slice(&[1_u16, 2, 3, 4, 5, 6], &[2, 3]).unwrap();
    let sign = if cfg!(target_endian = "big") { '>' } else { '<' };
    let text = format!("{{'descr': '{sign}u2', 'fortran_order': False, 'shape': (2, 3), }}");
    let npy = array.npy();
    assert_eq!(npy[..10], *b"\x93NUMPY\x01\x00\x76\x00");
    assert!(npy[10..].starts_with(text.as_bytes()));
    assert!(npy[10 + text.len()..127].iter().all(|byte| *byte == b' '));
    assert_eq!((npy[127], npy.len()), (b'\n', 128 + 12));
    for (shape, text) in [(&[][..], "()"), (&[6], "(6,)"), (&[6, 1], "(6, 1)"), (&[1, 6, 1], "(1, 6, 1)")] {
        let items = vec![0_u8; shape.iter().product()];
        let npy = Array::from_slice(&items, shape).unwrap().npy().clone();
        let header = String::from_utf8(npy[10..npy.len() - items.len()].to_vec()).unwrap();
        assert!(header.contains(&format!("'shape': {text}, }}")), "{header}");
        assert_eq!((npy.len() - items.len()) % 64, 0);
    }
    let longest = Array::from_data(DType::native(Kind::Uint, 1), &[1; DIMENSIONS_MAX], Order::C, &[7]).unwrap();
    assert_eq!(read(longest.npy()).unwrap(), longest);
}

fn comes_back<T: Element + fmt::Debug>(items: &[T], shape: &[usize]) {
    let array = Array::from_slice(items, shape).unwrap();
    let content = (&array).into_content().unwrap();
    assert_eq!(content.tag, 2);
    let same: Array = content.get().unwrap();
    assert_eq!(same, array);
    assert_eq!((same.len(), same.is_empty(), same.shape()), (items.len(), items.is_empty(), shape));
    assert_eq!(*same.as_slice::<T>().unwrap(), *items);
    assert!(matches!(same.items::<T>().unwrap(), Cow::Borrowed(_)));
    // Where the bytes lie at an odd address.
    let odd = Bytes::from([&[0][..], array.npy()].concat()).slice(1..);
    let odd = Array::from_npy(odd).unwrap();
    assert_eq!(*odd.items::<T>().unwrap(), *items);
    assert_eq!(odd.as_slice::<T>().is_ok(), size_of::<T>() == 1 || items.is_empty());
    // And with their bytes the other way round.
    let dtype = T::DTYPE;
    let other = if Endian::NATIVE == Endian::Little { Endian::Big } else { Endian::Little };
    let other = DType::new(dtype.kind(), dtype.size(), other).unwrap();
    let mut data = array.data().to_vec();
    data.chunks_exact_mut(dtype.part_size()).for_each(<[u8]>::reverse);
    let turned = Array::from_data(other, shape, Order::Fortran, &data).unwrap();
    assert_eq!(*turned.items::<T>().unwrap(), *items);
    assert_eq!(turned.as_slice::<T>().is_ok(), other.is_native() || items.is_empty());
    assert_eq!(turned.order(), if shape.len() < 2 { Order::C } else { Order::Fortran });
}

#[test]
fn items_of_every_type_come_back() {
    comes_back(&[true, false, true], &[3]);
    comes_back(&[i8::MIN, -1, 0, i8::MAX], &[2, 2]);
    comes_back(&[i16::MIN, -1, 0, i16::MAX], &[4, 1]);
    comes_back(&[i32::MIN, -1, 0, i32::MAX], &[1, 2, 2]);
    comes_back(&[i64::MIN, -1, 0, i64::MAX], &[2, 2]);
    comes_back(&[0, u8::MAX], &[2]);
    comes_back(&[0, u16::MAX], &[1, 2]);
    comes_back(&[0, u32::MAX], &[2, 1]);
    comes_back(&[0, u64::MAX], &[2]);
    comes_back(&[f32::MIN_POSITIVE, -0.0, f32::INFINITY], &[3, 1]);
    comes_back(&[f64::MIN_POSITIVE, -0.0, f64::INFINITY], &[3]);
    comes_back(&[[1.0_f32, 2.0], [-1.0, -2.0]], &[2]);
    comes_back(&[[1.0_f64, 2.0], [-1.0, -2.0]], &[1, 2]);
    comes_back(&[42_i32], &[]);
    comes_back::<f64>(&[], &[0]);
    comes_back::<u8>(&[], &[3, 0, usize::MAX >> 3]);
}

#[test]
fn another_type_is_an_error_and_items_without_a_type_of_rust_s_are_bytes() {
    let array = Array::from_slice(&[1_u32, 2], &[2]).unwrap();
    let wanted = f32::DTYPE;
    assert_eq!(array.items::<f32>(), Err(ItemsError::Type { dtype: array.dtype(), wanted }));
    assert_eq!(array.as_slice::<u16>(), Err(ItemsError::Type { dtype: array.dtype(), wanted: u16::DTYPE }));
    for (descr, size) in [("<f2", 2), (">f2", 2), ("<f16", 16), ("<c32", 32)] {
        let data: Vec<u8> = (0..3 * size).collect();
        let array = Array::from_data(descr.parse().unwrap(), &[3], Order::C, &data).unwrap();
        assert_eq!(*read(array.npy()).unwrap().data(), *data);
        assert!(matches!(array.items::<u16>(), Err(ItemsError::Type { .. })));
    }
}

#[test]
fn a_truth_value_is_0_or_1() {
    let array = read(&[&parts("'|b1'", "False", "(3,)", 0)[..], &[0, 1, 2]].concat()).unwrap();
    assert_eq!(array.as_slice::<bool>(), Err(ItemsError::Value));
    assert_eq!(array.items::<bool>(), Err(ItemsError::Value));
    assert_eq!(array.data(), [0, 1, 2]);
}

#[test]
fn a_shape_takes_as_many_items_as_it_says() {
    let items = [0_u64; 6];
    for shape in [&[6][..], &[2, 3], &[3, 2, 1]] {
        assert!(Array::from_slice(&items, shape).is_ok());
    }
    for (shape, expected) in [(&[][..], 8), (&[5], 40), (&[7], 56), (&[0], 0), (&[6, 0], 0), (&[2, 4], 64)] {
        assert_eq!(Array::from_slice(&items, shape), Err(ArrayError::Length { len: 48, expected }));
    }
    let large = isize::MAX as usize;
    for shape in [&[large][..], &[usize::MAX], &[large, large], &[0, large], &[1 << 31, 0, 1 << 31], &[1; 65], &[0; 65]]
    {
        assert_eq!(Array::from_slice::<u64>(&[], shape), Err(ArrayError::Shape), "{shape:?}");
    }
    assert!(Array::from_slice::<u8>(&[], &[0, large]).is_ok());
    assert_eq!(Array::from_slice::<u8>(&[], &[large]), Err(ArrayError::Length { len: 0, expected: large }));
}

#[test]
fn headers_as_others_write_them() {
    let expected = Array::from_data("<i2".parse().unwrap(), &[2, 3], Order::Fortran, &[0; 12]).unwrap();
    for header in [
        "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }",
        "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3)}",
        "{\"shape\":(2,3,),\"descr\":\"<i2\",\"fortran_order\":True,}",
        "\n {\t'shape' :\r\n( 2L , 3L ) , 'fortran_order' : True , 'descr' : '<i2' } \n\n",
    ] {
        assert_eq!(read(&file(header, &[0; 12])), Ok(expected.clone()), "{header}");
        for version in [2, 3] {
            let len = u32::try_from(header.len()).unwrap().to_le_bytes();
            let npy = [b"\x93NUMPY", &[version, 0][..], &len, header.as_bytes(), &[0; 12]].concat();
            let array = read(&npy).unwrap();
            assert_eq!(array, expected);
            assert_eq!(*array.npy(), npy, "it is kept as it came");
        }
    }
}

#[test]
fn hostile_headers_are_told_apart() {
    let header = |text: &str| read(&file(text, &[]));
    for text in [
        "",
        " ",
        "{",
        "}",
        "{}",
        "()",
        "[]",
        "None",
        "{{}}",
        "{,}",
        "{'descr'}",
        "{'descr': }",
        "{'descr': '<i2'}",
        "{'descr': '<i2', 'fortran_order': False}",
        "{'descr': '<i2', 'shape': ()}",
        "{'fortran_order': False, 'shape': ()}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (), 'more': 1}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (), 'shape': ()}",
        "{'descr': '<i2', 'fortran_order': False, 'fortran_order': False, 'shape': ()}",
        "{'descr': '<i2', 'descr': '<i2', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': ()}}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': ()} x",
        "{'descr': '<i2', 'fortran_order': False, 'shape': ()",
        "{'descr': '<i2',, 'fortran_order': False, 'shape': ()}",
        "{'descr': '<i2' 'fortran_order': False, 'shape': ()}",
        "{'descr' '<i2', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<i2', 'fortran_order': 0, 'shape': ()}",
        "{'descr': '<i2', 'fortran_order': false, 'shape': ()}",
        "{'descr': '<i2', 'fortran_order': None, 'shape': ()}",
        "{'descr': i2, 'fortran_order': False, 'shape': ()}",
        "{'descr': '\\x3ci2', 'fortran_order': False, 'shape': ()}",
        "{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': ()}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (1+1,)}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': 3}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (3)}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': [3]}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (1e3,)}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': ()}\0",
    ] {
        assert_eq!(header(text), Err(NpyError::Header), "{text}");
    }
    for (descr, error) in [
        ("'|O'", DTypeError::Object),
        ("'O8'", DTypeError::Object),
        ("'<U5'", DTypeError::unknown("<U5")),
        ("'|S3'", DTypeError::unknown("|S3")),
        ("'<M8[ns]'", DTypeError::unknown("<M8[ns]")),
        ("'=i4'", DTypeError::unknown("=i4")),
        ("''", DTypeError::unknown("")),
        ("[('a', '<i2'), ('b', '|O')]", DTypeError::unknown("a record")),
        ("('<i2', (3,))", DTypeError::unknown("a record")),
    ] {
        assert_eq!(read(&parts(descr, "False", "()", 2)), Err(NpyError::DType(error)), "{descr}");
    }
    for shape in [
        "(9223372036854775807,)",
        "(18446744073709551616,)",
        "(4294967296, 4294967296)",
        "(0, 9223372036854775807)",
        &format!("({})", "1,".repeat(65)),
        &format!("({},)", "9".repeat(5_000)),
    ] {
        assert_eq!(read(&parts("'<i2'", "False", shape, 0)), Err(NpyError::Shape), "{shape}");
    }
    for (shape, expected) in [("(1,)", 2), ("(4611686018427387903,)", (1 << 63) - 2), ("(2, 3)", 12)] {
        for len in [0, 1, 3, 11, 13] {
            let read = read(&parts("'<i2'", "False", shape, len));
            assert_eq!(read, Err(NpyError::Length { len, expected }), "{shape}");
        }
    }
    assert_eq!(read(&parts("'<i2'", "False", "(0,)", 1)), Err(NpyError::Length { len: 1, expected: 0 }));
}

#[test]
fn what_comes_before_the_header_is_judged_first() {
    let whole = Array::from_slice(&[7_u8], &[]).unwrap().npy().clone();
    for len in 0..128 {
        assert_eq!(read(&whole[..len]), Err(NpyError::Truncated), "{len} bytes");
    }
    assert_eq!(read(&whole[..128]), Err(NpyError::Length { len: 0, expected: 1 }));
    for at in 0..6 {
        let mut npy = whole.to_vec();
        npy[at] ^= 1;
        for len in [at + 1, npy.len()] {
            assert_eq!(read(&npy[..len]), Err(NpyError::Magic));
        }
    }
    for (major, minor) in [(0, 0), (1, 1), (2, 1), (4, 0), (255, 255)] {
        let mut npy = whole.to_vec();
        npy[6..8].copy_from_slice(&[major, minor]);
        assert_eq!(read(&npy), Err(NpyError::Version { major, minor }));
    }
    let padded = |len: usize| {
        let text = "{'descr': '|u1', 'fortran_order': False, 'shape': ()}";
        file(&format!("{text:len$}"), &[7])
    };
    assert!(read(&padded(10_000)).is_ok());
    assert_eq!(read(&padded(10_001)), Err(NpyError::Header));
    let claim = [b"\x93NUMPY\x02\x00".as_slice(), &u32::MAX.to_le_bytes()].concat();
    assert_eq!(read(&claim), Err(NpyError::Header), "whatever is missing behind it");
}

fn dtypes() -> impl Strategy<Value = DType> {
    let kind = prop::sample::select(vec![Kind::Bool, Kind::Int, Kind::Uint, Kind::Float, Kind::Complex]);
    let size = prop::sample::select(vec![1_usize, 2, 4, 8, 16, 32]);
    let endian = prop::sample::select(vec![Endian::Little, Endian::Big]);
    (kind, size, endian).prop_filter_map("no such type", |(kind, size, endian)| DType::new(kind, size, endian))
}

/// What headers are made of.
const SIGNS: &[u8] = b"{}()[]':,\" descrfotan_shpTuFl<>|=O012468L\n";

proptest! {
    #[test]
    fn any_array_comes_back(
        dtype in dtypes(),
        shape in prop::collection::vec(0_usize..5, 0..5),
        fortran: bool,
        seed: u8,
    ) {
        let len = shape.iter().product::<usize>() * dtype.size();
        let data: Vec<u8> = (0..=255).map(|at: u8| at.wrapping_mul(31).wrapping_add(seed)).cycle().take(len).collect();
        let order = if fortran { Order::Fortran } else { Order::C };
        let array = Array::from_data(dtype, &shape, order, &data).unwrap();
        let same = read(array.npy()).unwrap();
        prop_assert_eq!(&same, &array);
        prop_assert_eq!((same.dtype(), same.shape(), same.data()), (dtype, &shape[..], &data[..]));
        prop_assert_eq!(same.order() == Order::Fortran, fortran && shape.len() > 1);
        for surplus in [vec![], array.npy()[..array.npy().len() - 1].to_vec(), [array.npy(), &[0][..]].concat()] {
            prop_assert!(read(&surplus).is_err());
        }
    }

    #[test]
    fn any_bytes_are_an_array_or_an_error(
        header in prop::collection::vec(prop::sample::select(SIGNS.to_vec()), 0..120),
        version in 0_u8..4,
        data in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut npy = file(&String::from_utf8(header).unwrap(), &data);
        npy[6] = version;
        if let Ok(array) = read(&npy) {
            prop_assert_eq!(array.len() * array.dtype().size(), array.data().len());
        }
        let _ = read(&data);
    }
}
