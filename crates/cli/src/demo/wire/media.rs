//! OpenAI's images, moderations and speech, and reranking as compatible servers have it: what has a
//! form in no other dialect. Sources: OpenAI's API reference; Cohere's and Jina's of `rerank`.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Event, Reply, SSE, chat::name};
use crate::demo::{
    answer::{count, words},
    ask::{list, strings, text},
    fault::Fault,
};

/// A pixel, as PNG in base64: what every image of the demo shows.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA\
                     AABJRU5ErkJggg==";
/// Tokens of an image.
const IMAGE_TOKENS: u64 = 272;
/// Samples a second of the audio, 16 bits each, and how many a word takes.
const RATE: u32 = 24_000;
const WORD: u32 = RATE * 3 / 10;
/// Tokens of audio that a word takes.
const WORD_TOKENS: usize = 6;
/// What a moderation looks for: a text is of a category when it has the first word of its name.
const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn required<'a>(body: &'a Value, member: &str) -> Result<&'a Value, Fault> {
    let value = &body[member];
    let missing = || Fault::at(member, format!("Missing required parameter: '{member}'."));
    (!value.is_null() && value != "").then_some(value).ok_or_else(missing)
}

/// `images/generations`.
pub(super) fn images(body: &Value, named: Option<&str>) -> Result<Reply, Fault> {
    let model = name(body, named)?;
    let input = count(&text(required(body, "prompt")?)) as u64;
    let made = body["n"].as_u64().unwrap_or(1);
    if !(1..=10).contains(&made) {
        return Err(Fault::at("n", "Invalid value: 'n' must be from 1 to 10."));
    }
    let output = made * IMAGE_TOKENS;
    let usage = json!({
        "input_tokens": input,
        "input_tokens_details": {"text_tokens": input, "image_tokens": 0},
        "output_tokens": output,
        "total_tokens": input + output,
    });
    let told = json!({"background": "opaque", "output_format": "png", "quality": "low",
        "size": "1024x1024"});
    let with = |object: &mut Value, more: &Value| {
        for (name, value) in more.as_object().into_iter().flatten() {
            object[name] = value.clone();
        }
    };
    if body["stream"] == true {
        let event = |kind: &str, more: &Value| {
            let mut event = json!({"type": format!("image_generation.{kind}"),
                "b64_json": PIXEL, "created_at": now()});
            with(&mut event, &told);
            with(&mut event, more);
            Event::named(true, &event)
        };
        let partial = body["partial_images"].as_u64().unwrap_or(0).min(3);
        let mut events: Vec<Event> = (0..partial)
            .map(|at| event("partial_image", &json!({ "partial_image_index": at })))
            .collect();
        events.push(event("completed", &json!({ "usage": usage })));
        return Ok(Reply::Stream { kind: SSE, events });
    }
    let image = if body["response_format"] == "url" {
        json!({"url": format!("data:image/png;base64,{PIXEL}")})
    } else {
        json!({ "b64_json": PIXEL })
    };
    let data = vec![image; usize::try_from(made).unwrap_or(1)];
    let mut whole = json!({"created": now(), "data": data});
    // The older ones count no tokens.
    if !model.contains("dall-e") {
        whole["usage"] = usage;
        with(&mut whole, &told);
    }
    Ok(Reply::Json { body: whole, tokens: usize::try_from(made).unwrap_or(1) })
}

/// `moderations`.
pub(super) fn moderations(body: &Value, named: Option<&str>, id: &str) -> Result<Value, Fault> {
    let model = name(body, named)?;
    let input = required(body, "input")?;
    let parts = list(input).iter().any(Value::is_object);
    // Texts are judged one by one, the parts of one input together.
    let texts = if parts { vec![text(input)] } else { strings(input) };
    let results: Vec<Value> = texts.iter().map(|text| verdict(&text.to_lowercase())).collect();
    Ok(json!({"id": format!("modr-{id}"), "model": model, "results": results}))
}

fn verdict(text: &str) -> Value {
    let mut flagged = false;
    let (mut categories, mut scores, mut inputs) = (json!({}), json!({}), json!({}));
    for category in CATEGORIES {
        let word = category.split('/').next().unwrap_or(category);
        let found = word == category && text.contains(word);
        flagged |= found;
        categories[category] = json!(found);
        scores[category] = json!(if found { 0.98 } else { 0.01 });
        inputs[category] = json!(["text"]);
    }
    json!({"flagged": flagged, "categories": categories, "category_scores": scores,
        "category_applied_input_types": inputs})
}

/// `rerank`.
pub(super) fn rerank(body: &Value, named: Option<&str>, id: &str) -> Result<Value, Fault> {
    let model = name(body, named)?;
    let query = text(required(body, "query")?);
    let documents: Vec<String> = list(required(body, "documents")?)
        .iter()
        .map(|one| one.as_str().or(one["text"].as_str()).unwrap_or_default().to_owned())
        .collect();
    if documents.is_empty() {
        return Err(Fault::at("documents", "documents must hold at least one."));
    }
    let mut results: Vec<(usize, f64)> =
        documents.iter().map(|text| relevance(&query, text)).enumerate().collect();
    results.sort_by(|a, b| b.1.total_cmp(&a.1));
    let most = body["top_n"].as_u64().and_then(|n| usize::try_from(n).ok());
    results.truncate(most.unwrap_or(results.len()));
    let shown = body["return_documents"] == true;
    let one = |(index, score): &(usize, f64)| {
        let mut one = json!({"index": index, "relevance_score": score});
        if shown {
            one["document"] = json!({"text": documents.get(*index)});
        }
        one
    };
    let tokens: usize = documents.iter().map(|text| count(text) + count(&query)).sum();
    let results: Vec<Value> = results.iter().map(one).collect();
    Ok(json!({"id": format!("rerank-{id}"), "model": model, "results": results,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}))
}

/// The share of the query's words that a text has.
fn relevance(query: &str, text: &str) -> f64 {
    let lower = text.to_lowercase();
    let query = query.to_lowercase();
    let found = query.split_whitespace().filter(|word| lower.contains(word)).count();
    let share = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    share(found) / share(query.split_whitespace().count().max(1))
}

/// `audio/speech`: a tone for each word (silence, where it is mp3).
pub(super) fn speech(body: &Value, named: Option<&str>) -> Result<Reply, Fault> {
    name(body, named)?;
    required(body, "voice")?;
    let input = text(required(body, "input")?);
    let spoken = count(&input).max(1);
    let format = body["response_format"].as_str().unwrap_or("mp3");
    let (kind, head): (_, Vec<u8>) = match format {
        "mp3" => ("audio/mpeg", Vec::new()),
        "wav" => ("audio/wav", wav(u32::try_from(spoken).unwrap_or(1).saturating_mul(WORD * 2))),
        "pcm" => ("audio/pcm", Vec::new()),
        other => {
            let text = format!("Invalid value: '{other}'. The demo speaks mp3, wav and pcm.");
            return Err(Fault::at("response_format", text));
        }
    };
    let piece = if format == "mp3" { silence() } else { tone() };
    let mut pieces: Vec<Vec<u8>> = words(&input).map(|_| piece.clone()).take(spoken).collect();
    if let Some(first) = pieces.first_mut() {
        first.splice(0..0, head);
    }
    if body["stream_format"] != "sse" {
        let event = |bytes: Vec<u8>| Event { token: true, bytes: Bytes::from(bytes) };
        return Ok(Reply::Stream { kind, events: pieces.into_iter().map(event).collect() });
    }
    let piece = |bytes: &Vec<u8>| {
        let audio = STANDARD.encode(bytes);
        Event::data(true, &json!({"type": "speech.audio.delta", "audio": audio}))
    };
    let mut events: Vec<Event> = pieces.iter().map(piece).collect();
    let usage = json!({"input_tokens": spoken, "output_tokens": spoken * WORD_TOKENS,
        "total_tokens": spoken * (WORD_TOKENS + 1)});
    events.push(Event::data(false, &json!({"type": "speech.audio.done", "usage": usage})));
    Ok(Reply::Stream { kind: SSE, events })
}

/// The head of a WAV file of so many bytes of samples: RIFF, PCM, one channel.
fn wav(bytes: u32) -> Vec<u8> {
    let mut head = b"RIFF".to_vec();
    head.extend(bytes.saturating_add(36).to_le_bytes());
    head.extend(b"WAVEfmt ");
    head.extend(16_u32.to_le_bytes());
    head.extend([1_u16, 1].map(u16::to_le_bytes).concat());
    head.extend([RATE, RATE * 2].map(u32::to_le_bytes).concat());
    head.extend([2_u16, 16].map(u16::to_le_bytes).concat());
    head.extend(b"data");
    head.extend(bytes.to_le_bytes());
    head
}

/// A word: a triangle wave of 240 Hz, which needs no sine.
fn tone() -> Vec<u8> {
    const PERIOD: u32 = RATE / 240;
    let sample = |at: u32| {
        let phase = at % PERIOD;
        let height = if phase < PERIOD / 2 { phase } else { PERIOD - phase };
        // From -4,000 to 4,000.
        i16::try_from(i64::from(height) * 16_000 / i64::from(PERIOD) - 4_000).unwrap_or(0)
    };
    (0..WORD).flat_map(|at| sample(at).to_le_bytes()).collect()
}

/// A word's time of silence as MPEG-1 layer III, 128 kbit/s at 44.1 kHz, one channel: frames of 417
/// bytes, 26 ms each, that hold nothing.
fn silence() -> Vec<u8> {
    let mut frame = vec![0; 417];
    frame.splice(0..4, [0xff, 0xfb, 0x90, 0xc4]);
    frame.repeat(12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_relevant_comes_first() {
        let body = json!({"model": "m", "query": "red apples", "top_n": 2, "return_documents": true,
            "documents": ["green pears", {"text": "red apples and more"}, "a red car"]});
        let whole = rerank(&body, None, "1").unwrap();
        assert_eq!(whole["results"][0]["index"], 1);
        assert_eq!(whole["results"][1]["document"]["text"], "a red car");
        assert_eq!(whole["results"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn only_what_has_the_word_is_flagged() {
        let body = json!({"model": "m", "input": ["I like apples", "I like violence"]});
        let whole = moderations(&body, None, "1").unwrap();
        assert_eq!(whole["results"][0]["flagged"], false);
        assert_eq!(whole["results"][1]["categories"]["violence"], true);
        assert_eq!(whole["results"][1]["categories"]["violence/graphic"], false);
    }

    #[test]
    fn a_wav_file_is_as_long_as_it_says() {
        let body = json!({"model": "m", "voice": "alloy", "input": "one two three",
            "response_format": "wav"});
        let Reply::Stream { kind, events } = speech(&body, None).unwrap() else { panic!() };
        let bytes: Vec<u8> = events.iter().flat_map(|event| event.bytes.to_vec()).collect();
        assert_eq!(kind, "audio/wav");
        let said = u32::from_le_bytes(bytes[40..44].try_into().unwrap());
        assert_eq!(bytes.len(), 44 + usize::try_from(said).unwrap());
        assert_eq!(&bytes[36..40], b"data");
    }
}
