//! Any bytes are an array or an error; what is an array is one to its last byte, and is written as it was read.

use bytes::Bytes;
use udpair::content::{Array, Content, Element, Image, ItemsError, NpyError, Order, tag};

/// Reads `data` as an array: as it stands, and as the header and the data of one whose other parts are right.
pub fn run(data: &[u8]) {
    check(data);
    let Some((&[version, len], rest)) = data.split_first_chunk() else { return };
    let (header, data) = rest.split_at(rest.len().min(usize::from(len)));
    let (version, len) = (1 + version % 3, header.len());
    let mut npy = b"\x93NUMPY".to_vec();
    npy.extend([version, 0]);
    match version {
        1 => npy.extend(u16::try_from(len).expect("one byte").to_le_bytes()),
        _ => npy.extend(u32::try_from(len).expect("one byte").to_le_bytes()),
    }
    npy.extend_from_slice(header);
    npy.extend_from_slice(data);
    check(&npy);
    // And with as much data as that header takes, if that is not too much.
    if let Err(NpyError::Length { expected: len @ ..4_096, .. }) = Array::from_npy(npy.clone().into()) {
        npy.truncate(npy.len() - data.len());
        npy.resize(npy.len() + len, 1);
        assert!(Array::from_npy(npy.clone().into()).is_ok(), "as much data as it asked for");
        check(&npy);
    }
}

fn check(npy: &[u8]) {
    let bytes = Bytes::copy_from_slice(npy);
    let Ok(array) = Array::from_npy(bytes.clone()) else { return };
    assert_eq!(*array.npy(), bytes, "it is kept as it came");
    let items: usize = array.shape().iter().product();
    assert_eq!((array.len(), items * array.dtype().size()), (items, array.data().len()));
    assert!(npy.ends_with(array.data()));
    rewritten(&array);
    views(&array);
    for len in [0, 5, 9, npy.len() / 2, npy.len() - 1] {
        assert!(Array::from_npy(bytes.slice(..len.min(npy.len() - 1))).is_err(), "an array from a part of one");
    }
    let longer = Array::from_npy([npy, &[0]].concat().into());
    assert!(matches!(longer, Err(NpyError::Length { .. })), "bytes behind an array");
    let image = Content { tag: tag::ARRAY, body: bytes }.get::<Image>();
    assert!(image.is_err() || matches!(array.shape().len(), 2 | 3), "{:?}", array.shape());
}

/// Its parts make the same array, written in the one form in which we write it.
fn rewritten(array: &Array) {
    let written = Array::from_data(array.dtype(), array.shape(), array.order(), array.data()).expect("its own parts");
    assert_eq!((written.dtype(), written.shape(), written.data()), (array.dtype(), array.shape(), array.data()));
    let order = if array.shape().len() < 2 { Order::C } else { array.order() };
    assert_eq!(written.order(), order);
    assert_eq!((written.npy().len() - written.data().len()) % 64, 0);
    assert_eq!(Array::from_npy(written.npy().clone()).as_ref(), Ok(&written));
}

/// Items are had as one type at the most.
fn views(array: &Array) {
    let found = [
        view::<bool>(array),
        view::<i8>(array),
        view::<i16>(array),
        view::<i32>(array),
        view::<i64>(array),
        view::<u8>(array),
        view::<u16>(array),
        view::<u32>(array),
        view::<u64>(array),
        view::<f32>(array),
        view::<f64>(array),
        view::<[f32; 2]>(array),
        view::<[f64; 2]>(array),
    ];
    assert!(found.iter().filter(|found| **found).count() <= 1, "{array:?}");
}

fn view<T: Element>(array: &Array) -> bool {
    match (array.items::<T>(), array.as_slice::<T>()) {
        (Err(ItemsError::Type { .. }), Err(ItemsError::Type { .. })) => return false,
        (Ok(items), _) => assert_eq!(items.len(), array.len()),
        (Err(error), _) => assert!(error == ItemsError::Value && array.dtype().to_string() == "|b1", "{error}"),
    }
    true
}
