//! AWS event-stream frames, written. Source: `application/vnd.amazon.eventstream` of the AWS SDKs:
//! total length, length of the headers and the CRC-32 of both, the headers, the payload, the CRC-32
//! of everything before it; all numbers big-endian.

use bytes::Bytes;

/// A header whose value is a string, which is type 7.
fn header(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend(u8::try_from(name.len()).unwrap_or(u8::MAX).to_be_bytes());
    out.extend(name.as_bytes());
    out.push(7);
    out.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(value.as_bytes());
}

/// A frame of these headers and this payload.
fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut block = Vec::new();
    for (name, value) in headers {
        header(&mut block, name, value);
    }
    let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = Vec::new();
    out.extend(length(12 + block.len() + payload.len() + 4));
    out.extend(length(block.len()));
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(block);
    out.extend(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    Bytes::from(out)
}

/// An event of a stream.
pub(super) fn event(kind: &str, payload: &serde_json::Value) -> Bytes {
    let headers =
        [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
    frame(&headers, payload.to_string().as_bytes())
}

/// An exception, which ends a stream.
pub(super) fn exception(kind: &str, message: &str) -> Bytes {
    let headers = [
        (":exception-type", kind),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    frame(&headers, serde_json::json!({ "message": message }).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The numbers are those of a frame that Bedrock sent.
    #[test]
    fn a_frame_is_that_of_the_provider() {
        let frame = event("messageStart", &json!({"p": "abcdefghijklmnopq", "role": "assistant"}));
        let numbers = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
        assert_eq!((numbers(0), numbers(4), numbers(8)), (0x8e, 0x52, 0xee91_e142));
        assert_eq!(numbers(frame.len() - 4), 0xf450_ac95);
        assert_eq!((frame.len(), &frame[12..25]), (0x8e, b"\x0b:event-type\x07".as_slice()));
    }
}
