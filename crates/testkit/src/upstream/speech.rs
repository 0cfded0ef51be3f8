//! One answer in the dialect that a provider is asked in: JSON or a stream, told from the request's
//! path and body. So one fake provider can stand behind any kind of target.

use bytes::Bytes;
use serde_json::{Value, json};

use super::script::{Script, Step, Steps, response};

/// What a fake model says.
#[derive(Clone, Debug, Default)]
pub struct Speech {
    /// What it thinks first, and the provider's proof of it.
    pub thought: Option<(String, String)>,
    /// Its text; a stream sends it word by word.
    pub text: String,
    /// The tools that it calls: id, name, arguments.
    pub calls: Vec<(String, String, Value)>,
    /// Tokens of the prompt and of the answer.
    pub usage: (u64, u64),
}

impl Speech {
    /// This text.
    pub fn text(text: &str) -> Self {
        Self { text: text.to_owned(), usage: (5, 3), ..Self::default() }
    }

    /// A call of a tool.
    #[must_use]
    pub fn calling(mut self, id: &str, name: &str, arguments: Value) -> Self {
        self.calls.push((id.to_owned(), name.to_owned(), arguments));
        self
    }

    /// A thought before it.
    #[must_use]
    pub fn thinking(mut self, text: &str, signature: &str) -> Self {
        self.thought = Some((text.to_owned(), signature.to_owned()));
        self
    }

    /// Said in whatever dialect is asked.
    pub fn script(self) -> Script {
        Script::said(self)
    }

    /// The events of this speech in the dialect of a path, as a stream sends them: for a test that
    /// breaks it off.
    pub fn events(&self, path: &str) -> Vec<Bytes> {
        match Tongue::of(path) {
            Tongue::Chat => self.chat_events(),
            Tongue::Responses => self.response_events(),
            Tongue::Messages => self.message_events(),
            Tongue::Gemini => self.gemini_events(),
            Tongue::Bedrock => self.bedrock_events(),
        }
    }

    /// The whole of it, as JSON.
    pub fn whole(&self, path: &str) -> Value {
        match Tongue::of(path) {
            Tongue::Chat => self.chat(),
            Tongue::Responses => self.response(),
            Tongue::Messages => self.message(),
            Tongue::Gemini => self.gemini(),
            Tongue::Bedrock => self.bedrock(),
        }
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.text.split_inclusive(' ')
    }

    fn chat_usage(&self) -> Value {
        let (input, output) = self.usage;
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
    }

    fn chat_calls(&self, numbered: bool) -> Vec<Value> {
        let call = |(index, (id, name, arguments)): (usize, &(String, String, Value))| {
            let function = json!({"name": name, "arguments": arguments.to_string()});
            let mut call = json!({"id": id, "type": "function", "function": function});
            if numbered {
                call["index"] = json!(index);
            }
            call
        };
        self.calls.iter().enumerate().map(call).collect()
    }

    fn chat(&self) -> Value {
        let mut message = json!({"role": "assistant", "content": self.text});
        if let Some((thought, _)) = &self.thought {
            message["reasoning_content"] = json!(thought);
        }
        if !self.calls.is_empty() {
            message["tool_calls"] = json!(self.chat_calls(false));
        }
        let finish = if self.calls.is_empty() { "stop" } else { "tool_calls" };
        json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "served",
               "choices": [{"index": 0, "message": message, "finish_reason": finish}],
               "usage": self.chat_usage()})
    }

    fn chat_events(&self) -> Vec<Bytes> {
        let chunk = |delta: Value, finish: Option<&str>| {
            json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
                   "model": "served",
                   "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        };
        let mut out = vec![chunk(json!({"role": "assistant", "content": ""}), None)];
        if let Some((thought, _)) = &self.thought {
            out.push(chunk(json!({"reasoning_content": thought}), None));
        }
        out.extend(self.words().map(|word| chunk(json!({"content": word}), None)));
        let calls = self.chat_calls(true);
        out.extend(calls.into_iter().map(|call| chunk(json!({"tool_calls": [call]}), None)));
        let finish = if self.calls.is_empty() { "stop" } else { "tool_calls" };
        out.push(chunk(json!({}), Some(finish)));
        out.push(json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
                        "model": "served", "choices": [], "usage": self.chat_usage()}));
        let mut out: Vec<Bytes> = out.iter().map(data).collect();
        out.push(Bytes::from_static(b"data: [DONE]\n\n"));
        out
    }

    fn items(&self) -> Vec<Value> {
        let mut items = Vec::new();
        if let Some((thought, signature)) = &self.thought {
            items.push(json!({"type": "reasoning", "id": "rs_1", "encrypted_content": signature,
                              "summary": [{"type": "summary_text", "text": thought}]}));
        }
        if !self.text.is_empty() {
            let part = json!({"type": "output_text", "text": self.text, "annotations": []});
            items.push(json!({"type": "message", "id": "msg_1", "role": "assistant",
                              "status": "completed", "content": [part]}));
        }
        for (id, name, arguments) in &self.calls {
            items.push(json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id,
                              "name": name, "arguments": arguments.to_string(),
                              "status": "completed"}));
        }
        items
    }

    fn response(&self) -> Value {
        let (input, output) = self.usage;
        json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "served",
               "status": "completed", "output": self.items(),
               "usage": {"input_tokens": input, "output_tokens": output,
                         "total_tokens": input + output}})
    }

    fn response_events(&self) -> Vec<Bytes> {
        let mut out = vec![json!({"type": "response.created", "response":
            {"id": "resp_1", "object": "response", "created_at": 1, "model": "served",
             "status": "in_progress", "output": []}})];
        for (index, item) in self.items().into_iter().enumerate() {
            let at = |mut event: Value| {
                event["output_index"] = json!(index);
                event["item_id"] = item["id"].clone();
                event
            };
            let mut bare = item.clone();
            for member in ["content", "summary"] {
                if !bare[member].is_null() {
                    bare[member] = json!([]);
                }
            }
            if !bare["arguments"].is_null() {
                bare["arguments"] = json!("");
            }
            out.push(at(json!({"type": "response.output_item.added", "item": bare})));
            match item["type"].as_str().unwrap_or_default() {
                "message" => out.extend(self.words().map(|word| {
                    at(json!({"type": "response.output_text.delta", "content_index": 0,
                              "delta": word}))
                })),
                "function_call" => {
                    let delta = &item["arguments"];
                    out.push(at(json!({"type": "response.function_call_arguments.delta",
                                       "delta": delta})));
                }
                _ => {
                    let delta = &item["summary"][0]["text"];
                    out.push(at(json!({"type": "response.reasoning_summary_text.delta",
                                       "summary_index": 0, "delta": delta})));
                }
            }
            out.push(at(json!({"type": "response.output_item.done", "item": item})));
        }
        out.push(json!({"type": "response.completed", "response": self.response()}));
        for (number, event) in out.iter_mut().enumerate() {
            event["sequence_number"] = json!(number);
        }
        out.iter().map(named).collect()
    }

    fn blocks(&self) -> Vec<Value> {
        let mut blocks = Vec::new();
        if let Some((thought, signature)) = &self.thought {
            blocks.push(json!({"type": "thinking", "thinking": thought, "signature": signature}));
        }
        if !self.text.is_empty() {
            blocks.push(json!({"type": "text", "text": self.text}));
        }
        for (id, name, arguments) in &self.calls {
            blocks.push(json!({"type": "tool_use", "id": id, "name": name, "input": arguments}));
        }
        blocks
    }

    fn stop_reason(&self) -> &'static str {
        if self.calls.is_empty() { "end_turn" } else { "tool_use" }
    }

    fn message(&self) -> Value {
        let (input, output) = self.usage;
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "served",
               "content": self.blocks(), "stop_reason": self.stop_reason(), "stop_sequence": null,
               "usage": {"input_tokens": input, "output_tokens": output}})
    }

    fn message_events(&self) -> Vec<Bytes> {
        let (input, output) = self.usage;
        let mut out = vec![json!({"type": "message_start", "message":
            {"id": "msg_1", "type": "message", "role": "assistant", "model": "served",
             "content": [], "stop_reason": null, "stop_sequence": null,
             "usage": {"input_tokens": input, "output_tokens": 1}}})];
        for (index, block) in self.blocks().into_iter().enumerate() {
            let mut deltas = Vec::new();
            let bare = match block["type"].as_str().unwrap_or_default() {
                "thinking" => {
                    deltas.push(json!({"type": "thinking_delta", "thinking": block["thinking"]}));
                    let signature = &block["signature"];
                    deltas.push(json!({"type": "signature_delta", "signature": signature}));
                    json!({"type": "thinking", "thinking": "", "signature": ""})
                }
                "text" => {
                    let delta = |word: &str| json!({"type": "text_delta", "text": word});
                    deltas.extend(self.words().map(delta));
                    json!({"type": "text", "text": ""})
                }
                _ => {
                    let partial = block["input"].to_string();
                    deltas.push(json!({"type": "input_json_delta", "partial_json": partial}));
                    json!({"type": "tool_use", "id": block["id"], "name": block["name"],
                           "input": {}})
                }
            };
            out.push(json!({"type": "content_block_start", "index": index, "content_block": bare}));
            out.extend(deltas.into_iter().map(
                |delta| json!({"type": "content_block_delta", "index": index, "delta": delta}),
            ));
            out.push(json!({"type": "content_block_stop", "index": index}));
        }
        out.push(json!({"type": "message_delta", "usage": {"output_tokens": output},
                        "delta": {"stop_reason": self.stop_reason(), "stop_sequence": null}}));
        out.push(json!({"type": "message_stop"}));
        out.iter().map(named).collect()
    }

    fn gemini_parts(&self) -> Vec<Value> {
        let mut parts = Vec::new();
        if let Some((thought, _)) = &self.thought {
            parts.push(json!({"text": thought, "thought": true}));
        }
        parts.extend(self.words().map(|word| json!({"text": word})));
        for (at, (_, name, arguments)) in self.calls.iter().enumerate() {
            let mut part = json!({"functionCall": {"name": name, "args": arguments}});
            // The first call of a step carries the proof.
            if let (0, Some((_, signature))) = (at, &self.thought) {
                part["thoughtSignature"] = json!(signature);
            }
            parts.push(part);
        }
        parts
    }

    fn gemini_chunk(&self, parts: &[Value], finish: Option<&str>) -> Value {
        let (input, output) = self.usage;
        let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": parts}});
        if let Some(finish) = finish {
            candidate["finishReason"] = json!(finish);
        }
        json!({"candidates": [candidate], "modelVersion": "served", "responseId": "g1",
               "usageMetadata": {"promptTokenCount": input, "candidatesTokenCount": output,
                                 "totalTokenCount": input + output}})
    }

    fn gemini(&self) -> Value {
        self.gemini_chunk(&self.gemini_parts(), Some("STOP"))
    }

    fn gemini_events(&self) -> Vec<Bytes> {
        let parts = self.gemini_parts();
        let last = parts.len().saturating_sub(1);
        let chunks = parts.iter().enumerate().map(|(at, part)| {
            let finish = (at == last).then_some("STOP");
            data(&self.gemini_chunk(std::slice::from_ref(part), finish))
        });
        chunks.collect()
    }

    fn bedrock_content(&self) -> Vec<Value> {
        let mut content = Vec::new();
        if let Some((thought, signature)) = &self.thought {
            content.push(json!({"reasoningContent": {"reasoningText":
                {"text": thought, "signature": signature}}}));
        }
        if !self.text.is_empty() {
            content.push(json!({"text": self.text}));
        }
        for (id, name, arguments) in &self.calls {
            content.push(json!({"toolUse": {"toolUseId": id, "name": name, "input": arguments}}));
        }
        content
    }

    fn bedrock_usage(&self) -> Value {
        let (input, output) = self.usage;
        json!({"inputTokens": input, "outputTokens": output, "totalTokens": input + output})
    }

    fn bedrock(&self) -> Value {
        json!({"output": {"message": {"role": "assistant", "content": self.bedrock_content()}},
               "stopReason": self.stop_reason(), "usage": self.bedrock_usage(),
               "metrics": {"latencyMs": 1}})
    }

    fn bedrock_events(&self) -> Vec<Bytes> {
        let mut out = vec![frame("messageStart", &json!({"role": "assistant"}))];
        for (index, block) in self.bedrock_content().into_iter().enumerate() {
            let delta = |delta: Value| {
                frame("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta}))
            };
            if let Some(call) = block.get("toolUse") {
                let start = json!({"toolUse": {"toolUseId": call["toolUseId"],
                                               "name": call["name"]}});
                let start = json!({"contentBlockIndex": index, "start": start});
                out.push(frame("contentBlockStart", &start));
                let input = call["input"].to_string();
                out.push(delta(json!({"toolUse": {"input": input}})));
            } else if let Some(thought) = block.get("reasoningContent") {
                let text = &thought["reasoningText"];
                out.push(delta(json!({"reasoningContent": {"text": text["text"]}})));
                out.push(delta(json!({"reasoningContent": {"signature": text["signature"]}})));
            } else {
                out.extend(self.words().map(|word| delta(json!({"text": word}))));
            }
            out.push(frame("contentBlockStop", &json!({"contentBlockIndex": index})));
        }
        out.push(frame("messageStop", &json!({"stopReason": self.stop_reason()})));
        let usage = json!({"usage": self.bedrock_usage(), "metrics": {"latencyMs": 1}});
        out.push(frame("metadata", &usage));
        out
    }

    /// The steps of an answer to a request.
    pub(super) fn steps(&self, path: &str, request: &Value) -> Vec<Step> {
        let tongue = Tongue::of(path);
        let streams = match tongue {
            Tongue::Gemini => path.contains(":streamGenerateContent"),
            Tongue::Bedrock => path.ends_with("/converse-stream"),
            _ => request["stream"] == json!(true),
        };
        if !streams {
            let headers = [("content-type", "application/json"), ("request-id", "theirs")];
            let body = self.whole(path).to_string();
            return vec![Step::Send(response(200, &headers, body.as_bytes()))];
        }
        let kind = if tongue == Tongue::Bedrock {
            "application/vnd.amazon.eventstream"
        } else {
            "text/event-stream"
        };
        let mut events = self.events(path);
        let asked = request["stream_options"]["include_usage"] == json!(true);
        if tongue == Tongue::Chat && !asked {
            // The usage comes before the terminator, to those who ask.
            events.remove(events.len() - 2);
        }
        match Script::pieces(kind, events, true).steps {
            Steps::Fixed(steps) => steps,
            _ => Vec::new(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tongue {
    Chat,
    Responses,
    Messages,
    Gemini,
    Bedrock,
}

impl Tongue {
    fn of(path: &str) -> Self {
        let path = path.split('?').next().unwrap_or(path);
        if path.ends_with("enerateContent") {
            Self::Gemini
        } else if path.ends_with("/converse") || path.ends_with("/converse-stream") {
            Self::Bedrock
        } else if path.ends_with("/messages") || path.ends_with("awPredict") {
            Self::Messages
        } else if path.ends_with("/responses") {
            Self::Responses
        } else {
            Self::Chat
        }
    }
}

fn data(event: &Value) -> Bytes {
    Bytes::from(format!("data: {event}\n\n"))
}

/// An event whose name is its type.
fn named(event: &Value) -> Bytes {
    let name = event["type"].as_str().unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {event}\n\n"))
}

/// A frame of AWS's event stream: lengths, their CRC, headers, payload, the CRC of all.
pub fn frame(kind: &str, payload: &Value) -> Bytes {
    let payload = payload.to_string();
    let mut headers = Vec::new();
    for (name, value) in
        [(":message-type", "event"), (":event-type", kind), (":content-type", "application/json")]
    {
        headers.push(u8::try_from(name.len()).unwrap_or_default());
        headers.extend_from_slice(name.as_bytes());
        // 7: a string, its length in two bytes.
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let length = |n: usize| u32::try_from(n).unwrap_or_default().to_be_bytes();
    let mut out = Vec::new();
    out.extend_from_slice(&length(16 + headers.len() + payload.len()));
    out.extend_from_slice(&length(headers.len()));
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(payload.as_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    Bytes::from(out)
}
