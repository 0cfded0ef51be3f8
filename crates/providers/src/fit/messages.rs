//! The conversation of a body that is passed through: what breaks a rule of the server is changed
//! where it stands, and all else within the messages is kept, unknown members too.

use super::{Plan, contains};
use crate::{
    dialect::cx::is_default,
    ids::Ids,
    rules::{Action, Field},
    tree::{Json, object},
};

/// The fate of `messages`.
pub(super) fn fit(plan: &mut Plan<'_>, at: usize) {
    if !suspect(plan, plan.bytes(at)) {
        return;
    }
    let before = plan.value(at);
    let Json::Array(items) = before.clone() else { return };
    let mut out: Vec<Json> = Vec::with_capacity(items.len());
    let mut ids = Ids::new(plan.quirks.ids);
    let mut names: Vec<(String, String)> = Vec::new();
    let mut begun = false;
    let last = items.len();
    for (index, mut message) in items.into_iter().enumerate() {
        if !message.is_object() {
            out.push(message);
            continue;
        }
        if message.get("role").text() == "developer" && !plan.quirks.developer {
            message.set("role", "system");
        }
        if plan.known {
            let role = message.get("role").text().to_owned();
            late_system(plan, &mut message, &role, begun);
            begun |= role != "system";
            fields(plan, &mut message, &role);
            calls(plan, &mut message, &mut ids, &mut names);
            if let Some(mark) = plan.quirks.prefill
                && role == "assistant"
                && index + 1 == last
                && !message.has("tool_calls")
                && !message.has(mark)
            {
                message.set(mark, true);
            }
            gap(plan, &mut out, &message);
        }
        out.push(message);
    }
    if ids.rewritten {
        let detail = "Ids beyond what the server takes are sent as a hash.";
        plan.warn(Field::CallId, Action::Adapted, detail);
    }
    plan.beyond |= plan.quirks.alternate && plan.known && repeats(&out);
    let after = Json::Array(out);
    if after != before {
        plan.becomes(at, &after);
    }
}

/// Whether there may be something to change: told from the bytes, so that most bodies are not parsed.
fn suspect(plan: &Plan<'_>, bytes: &[u8]) -> bool {
    let quirks = plan.quirks;
    let has = |what: &str| contains(bytes, what.as_bytes());
    // An escape may hide any word.
    has("\\u")
        || (!quirks.developer && has("developer"))
        || plan.known
            && (quirks.alternate
                || quirks.prefill.is_some()
                || (quirks.drops(Field::Name) && has("\"name\""))
                || (quirks.system_first && has("system"))
                || (quirks.no_user_after_tool && has("tool"))
                || (quirks.ids.exact && has("tool_call"))
                || (quirks.tool_names && has("tool_call_id"))
                || (quirks.returns_reasoning && has("tool_calls"))
                || (!quirks.cache_control && has("cache_control")))
}

/// A system message behind others, where the server wants it first, is a text of the user's.
fn late_system(plan: &mut Plan<'_>, message: &mut Json, role: &str, begun: bool) {
    if role != "system" || !begun || !plan.quirks.system_first {
        return;
    }
    let content = message.get("content");
    let texts = content.items().iter().map(|part| part.get("text").text());
    let text = content.str().map_or_else(|| texts.collect::<Vec<_>>().join("\n\n"), str::to_owned);
    message.set("role", "user");
    message.set("content", format!("<system>\n{text}\n</system>"));
    let detail = "The server wants the system first: it is a text of the user's, in place.";
    plan.warn(Field::LateSystem, Action::Adapted, detail);
}

/// Members that the server refuses, in a message and its parts.
fn fields(plan: &mut Plan<'_>, message: &mut Json, role: &str) {
    // A tool's message may need its name.
    if plan.quirks.drops(Field::Name) && role != "tool" && !message.take("name").is_null() {
        plan.warn(Field::Name, Action::Dropped, "This server refuses it.");
    }
    if plan.quirks.cache_control {
        return;
    }
    let mut gone = message.take("cache_control").filled();
    if let Json::Array(mut parts) = message.get("content").clone() {
        for part in &mut parts {
            gone |= part.take("cache_control").filled();
        }
        if gone {
            message.set("content", parts);
        }
    }
    if gone {
        plan.warn(Field::CacheControl, Action::Dropped, "This server has no such field.");
    }
}

/// Calls and their results: ids, names, and the thought that goes back with calls.
fn calls(
    plan: &mut Plan<'_>,
    message: &mut Json,
    ids: &mut Ids,
    names: &mut Vec<(String, String)>,
) {
    let Json::Array(mut calls) = message.get("tool_calls").clone() else {
        result(plan, message, ids, names);
        return;
    };
    for call in &mut calls {
        let id = call.get("id").text().to_owned();
        let name = call.at(&["function", "name"]).text().to_owned();
        if !id.is_empty() {
            call.set("id", ids.fit(&id));
            names.push((id, name));
        }
    }
    if calls.is_empty() {
        return;
    }
    message.set("tool_calls", calls);
    // The thought is obligatory beside calls; of one that is not known nothing is made up.
    let thought = ["reasoning_content", "reasoning"].map(|name| message.get(name).clone());
    if plan.quirks.returns_reasoning && !thought[0].filled() && thought[1].str().is_some() {
        message.set("reasoning_content", &thought[1]);
        message.take("reasoning");
        plan.warn(Field::Reasoning, Action::Adapted, "Sent as `reasoning_content`.");
    }
}

fn result(plan: &Plan<'_>, message: &mut Json, ids: &mut Ids, names: &[(String, String)]) {
    let id = message.get("tool_call_id").text().to_owned();
    if id.is_empty() {
        return;
    }
    message.set("tool_call_id", ids.fit(&id));
    let name = names.iter().rev().find(|(of, _)| *of == id).map(|(_, name)| name);
    if plan.quirks.tool_names && is_default(Field::Name, message.get("name")) {
        message.set_some("name", name);
    }
}

/// Where no user may follow a tool, an assistant says something between.
fn gap(plan: &mut Plan<'_>, out: &mut Vec<Json>, next: &Json) {
    let tool = out.last().is_some_and(|last| last.get("role").text() == "tool");
    if plan.quirks.no_user_after_tool && tool && next.get("role").text() == "user" {
        plan.warn(
            Field::Order,
            Action::Adapted,
            "An assistant `OK.` stands between tool and user.",
        );
        out.push(object! {"role": "assistant", "content": "OK."});
    }
}

/// Whether two of one role stand side by side, the system's aside.
fn repeats(messages: &[Json]) -> bool {
    let roles = messages.iter().map(|m| m.get("role").text()).filter(|role| *role != "system");
    let roles: Vec<&str> = roles.collect();
    roles.windows(2).any(|pair| pair[0] == pair[1])
}
