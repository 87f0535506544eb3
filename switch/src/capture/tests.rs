use super::*;

fn words(words: &[u32], is_big: bool) -> Vec<u8> {
    words.iter().flat_map(|word| if is_big { word.to_be_bytes() } else { word.to_le_bytes() }).collect()
}

fn pcap_of(frames: &[&[u8]], is_big: bool) -> Vec<u8> {
    let mut file = words(&[PCAP_NANOSECONDS, 0x0004_0002, 0, 0, 65_535, 1], is_big);
    for frame in frames {
        let length = frame.len() as u32;
        file.extend(words(&[0, 0, length, length], is_big));
        file.extend(*frame);
    }
    file
}

fn block_of(kind: u32, body: &[u8], is_big: bool) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = (padded + EMPTY_BLOCK) as u32;
    let mut block = words(&[kind, length], is_big);
    block.extend(body);
    block.resize(8 + padded, 0);
    block.extend(words(&[length], is_big));
    block
}

fn section(is_big: bool, link_type: u32) -> Vec<u8> {
    let interface = if is_big { link_type << 16 } else { link_type };
    let mut file = block_of(block::SECTION, &words(&[BYTE_ORDER, 1, u32::MAX, u32::MAX], is_big), is_big);
    file.extend(block_of(block::INTERFACE, &words(&[interface, 0], is_big), is_big));
    file
}

fn enhanced(frame: &[u8], length: u32, is_big: bool) -> Vec<u8> {
    let head = words(&[0, 0, 0, frame.len() as u32, length], is_big);
    block_of(block::PACKET, &[&head[..], frame].concat(), is_big)
}

#[test]
fn both_formats_are_read_in_both_byte_orders() {
    let (one, two) = ([1u8; 61], [2u8; 60]);
    for is_big in [false, true] {
        let frames = vec![one.to_vec(), two.to_vec()];
        assert_eq!(parse(&pcap_of(&[&one, &two], is_big), 9), Ok(Capture { frames: frames.clone() }));
        let blocks = [section(is_big, 1), enhanced(&one, 61, is_big), enhanced(&two, 60, is_big)].concat();
        assert_eq!(parse(&blocks, 9), Ok(Capture { frames }));
    }
}

#[test]
fn older_blocks_count_too_and_unknown_ones_are_skipped() {
    let simple = block_of(block::SIMPLE_PACKET, &[&words(&[5], false)[..], &[7; 5]].concat(), false);
    let old = block_of(block::OLD_PACKET, &[&words(&[0, 0, 0, 3, 3], false)[..], &[8; 3]].concat(), false);
    let unknown = block_of(0x0bad, &[9; 30], false);
    let file = [section(false, 1), unknown, simple, old].concat();
    assert_eq!(parse(&file, 9).expect("a capture").frames, [vec![7; 5], vec![8; 3]]);
}

#[test]
fn a_frame_is_as_long_as_it_was_on_the_wire() {
    let file = [section(false, 1), enhanced(&[1; 20], 1_514, false)].concat();
    let frames = parse(&file, 9).expect("a capture").frames;
    assert_eq!((frames[0].len(), frames[0][19], frames[0][20]), (1_514, 1, 0));
    let huge = [section(false, 1), enhanced(&[1; 20], u32::MAX, false)].concat();
    assert_eq!(parse(&huge, 9).expect("a capture").frames[0].len(), TRACE_FRAME_BYTES + 1);
}

#[test]
fn no_more_frames_are_read_than_asked_for() {
    assert_eq!(parse(&pcap_of(&[&[1; 60][..]; 5], false), 2).expect("a capture").frames.len(), 2);
}

#[test]
fn what_is_no_capture_of_ethernet_is_refused() {
    assert_eq!(parse(b"", 9), Err(CaptureError::NotACapture));
    assert_eq!(parse(b"GIF89a", 9), Err(CaptureError::NotACapture));
    assert_eq!(parse(&pcap_of(&[], false)[..10], 9), Err(CaptureError::Truncated));
    let mut raw_ip = pcap_of(&[], false);
    raw_ip[PCAP_LINK_TYPE] = 101;
    assert_eq!(parse(&raw_ip, 9), Err(CaptureError::NotEthernet(101)));
    let cooked = [section(false, 113), enhanced(&[0; 60], 60, false)].concat();
    assert_eq!(parse(&cooked, 9), Err(CaptureError::NotEthernet(113)));
    let mut odd = section(false, 1);
    odd[4] = 13;
    assert_eq!(parse(&odd, 9), Err(CaptureError::BadLength(4)));
    let lost = [&section(false, 1)[..28], &enhanced(&[0; 60], 60, false)].concat();
    assert_eq!(parse(&lost, 9), Err(CaptureError::NoInterface(28)));
}

#[test]
fn a_record_that_broke_off_is_left_out() {
    for whole in [pcap_of(&[&[1; 60], &[2; 60]], false), {
        [section(false, 1), enhanced(&[1; 60], 60, false), enhanced(&[2; 60], 60, false)].concat()
    }] {
        for end in 0..whole.len() {
            // Whatever is there, it does not panic.
            let read = parse(&whole[..end], 9);
            assert!(read.is_err() || read.is_ok_and(|capture| capture.frames.len() < 2), "{end}");
        }
    }
}
