//! The table itself. Columns: OpenAI chat, OpenAI responses, Compatible, Anthropic, Gemini, Bedrock.
//! M maps, A adapts, D drops, R refuses, X: one of them, as the sentence says.

use super::{Cell, Row, Rule};

const M: Rule = Rule::Map;
const A: Rule = Rule::Adapt;
const D: Rule = Rule::Drop;
const R: Rule = Rule::Refuse;
const X: Rule = Rule::Mixed;

const fn names<const N: usize>(of: [&'static str; N]) -> [&'static str; 3] {
    if N == 1 { [of[0]; 3] } else { [of[0], of[1], of[2]] }
}

macro_rules! fields {
    ($($field:ident ($($name:literal),+) [$($rule:ident $($says:literal)?),+ $(,)?];)+) => {
        /// A field of a request, whatever its protocol calls it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the table's rows say what each is")]
        pub enum Field { $($field),+ }

        /// Every field, in the order of the guide.
        pub const FIELDS: &[Row] = &[$(Row {
            field: Field::$field,
            names: names([$($name),+]),
            cells: [$(Cell { rule: $rule, says: concat!($($says)?) }),+],
        }),+];
    };
}

fields! {
    // Messages.
    System("messages", "instructions", "system") [
        M "blocks joined by blank lines", M "leading `instructions`",
        X "`developer` is sent as `system` unless the server knows it",
        M "a text block each", M "`systemInstruction`, a part each", M "`system[].text`"];
    LateSystem("messages", "input", "messages") [
        M "in place", M "in place",
        X "in place; as a user text in `<system>` tags where the template wants it first",
        X "Opus 4.8, 5 and the 5.5 and 5.1 families: role `system` where it may stand; else a user \
           text in `<system>` tags, in place",
        A "a user text in `<system>` tags, in place", A "a user text in `<system>` tags, in place"];
    Name("messages.name", "input.name", "messages.name") [
        M, D, X "dropped where the server refuses it", D, D, D];
    Blank("messages.content", "input.content", "messages.content") [
        M, M, M, A "white space alone is refused: such blocks are left out",
        A "empty parts are left out", A "white space alone is refused: such blocks are left out"];
    Order("messages", "input", "messages") [
        M, M, X "merged where the template wants strict alternation",
        X "a user text `.` before a conversation that does not begin with the user",
        A "merged to alternate; a user text `.` before what does not begin with the user",
        A "merged to alternate; a user text `.` before what does not begin with the user"];
    ImageUrl("image_url", "input_image", "image") [
        M, M, M, M, M "`fileData.fileUri`; the provider fetches it",
        R "Bedrock takes bytes only, and the router fetches nothing"];
    ImageData("image_url", "input_image", "image") [
        M, M, M, X "jpeg, png, gif, webp; others are refused", M,
        X "jpeg, png, gif, webp; others are refused"];
    Detail("image_url.detail", "input_image.detail", "image.detail") [
        M, M, M, D, X "`mediaResolution` on Gemini 3 and later, else dropped", D];
    InputAudio("input_audio", "input_audio", "input_audio") [
        M, R, X "with the capability Audio", R, X "wav, mp3",
        X "with the capability Audio: wav, mp3"];
    FileData("file", "input_file", "document") [
        M, M, X "PDF with the capability Documents, else refused",
        X "PDF and plain text, else refused", X "PDF and text, else refused",
        X "pdf, csv, doc, docx, xls, xlsx, html, txt, md; the name is rewritten to its alphabet"];
    FileUrl("file", "input_file.file_url", "document") [
        R "only `/responses` takes an URL", M, R, M "PDF", M,
        R "Bedrock takes bytes only, and the router fetches nothing"];
    FileId("file.file_id", "file_id", "source.file_id") [R, R, R, R, R, R];
    DocumentText("file", "input_file", "document") [
        A "as text: title, context, content", A "as text: title, context, content",
        A "as text: title, context, content", M, A "as text: title, context, content",
        M "`source.text`"];
    Citations("citations", "annotations", "citations") [D, D, D, M, D, M];
    Search("search_result", "search_result", "search_result") [
        A "as text: title, source, content", A "as text: title, source, content",
        A "as text: title, source, content", M, A "as text: title, source, content",
        M "`searchResult`"];
    Prefill("messages", "input", "messages") [
        M "a new turn, not a prefill", M "a new turn, not a prefill",
        X "marked where the server has a mark",
        X "Claude up to 4.5 without thinking, trailing white space cut; later ones refuse",
        X "refused by Gemini 3.6 and later", X "as the model"];
    AudioReply("messages.audio", "input.audio", "messages.audio") [M, D, X "with Audio", D, D, D];
    // Tools in the history.
    Arguments("tool_calls.function.arguments", "function_call.arguments", "tool_use.input") [
        M, M, X "as it is; text that is no JSON object as `{\"_raw\": text}` where the server reads it",
        A "text that is no JSON object is sent as `{\"_raw\": text}`",
        A "text that is no JSON object is sent as `{\"_raw\": text}`",
        A "text that is no JSON object is sent as `{\"_raw\": text}`"];
    CallId("tool_call_id", "call_id", "tool_use_id") [
        A "over 40 characters: hashed", A "over 64 characters: hashed",
        A "what the server's pattern forbids is hashed", A "what `[A-Za-z0-9_-]` lacks is hashed",
        A "sent back only where Gemini gave it", A "what `[A-Za-z0-9_.:-]{1,64}` lacks is hashed"];
    Results("messages", "input", "messages") [
        A "a missing result is an error result, an orphan a user text",
        A "a missing result is an error result, an orphan a user text",
        A "a missing result is an error result, an orphan a user text",
        A "all results of a turn in one message; a missing one is an error, an orphan a user text",
        A "all results of a turn in one content of their own, in the order of the calls",
        A "all results of a turn in one message; a missing one is an error, an orphan a user text"];
    ResultMedia("tool.content", "function_call_output.output", "tool_result.content") [
        A "a user message after the results", M, A "a user message after the results", M,
        X "`functionResponse.parts` on Gemini 3 and later, else a user content after", M];
    ResultError("tool.content", "function_call_output.output", "tool_result.is_error") [
        A "a text prefix `error: `", A "a text prefix `error: `", A "a text prefix `error: `",
        M, M "the key `error`", M "`status: error`"];
    Reasoning("messages.reasoning_content", "reasoning", "thinking") [
        D, X "what this target issued goes back, what others did is dropped",
        X "`reasoning_content`, where the server wants it back",
        X "what this target issued goes back, what others did is dropped",
        X "own signatures go back; the first call of a step gets the documented placeholder",
        X "what this target issued goes back, what others did is dropped"];
    Hosted("messages", "input", "messages") [D, D, D, D, D, D];
    // Tools.
    Tools("tools", "tools", "tools") [
        M, M, X "refused where the server takes none", M "`input_schema`",
        M "`parametersJsonSchema`", M "`toolSpec.inputSchema.json`"];
    Strict("tools.function.strict", "tools.strict", "tools.strict") [
        X "false where the schema is beyond the strict subset",
        X "false where the schema is beyond the strict subset", X "dropped where it is refused",
        X "if the schema is within the strict subset, else dropped", D,
        X "for Claude, else dropped"];
    Custom("tools.custom", "tools.custom", "tools.custom") [
        M, M, A "a function with one string `input`, turned back in the answer",
        A "a function with one string `input`, turned back in the answer",
        A "a function with one string `input`, turned back in the answer",
        A "a function with one string `input`, turned back in the answer"];
    ToolName("tools.name") [
        A "what `[A-Za-z0-9_-]{1,64}` lacks is rewritten, and turned back",
        A "what `[A-Za-z0-9_-]{1,64}` lacks is rewritten, and turned back",
        A "what `[A-Za-z0-9_-]{1,64}` lacks is rewritten, and turned back",
        A "what `[A-Za-z0-9_-]{1,128}` lacks is rewritten, and turned back",
        A "what `[A-Za-z_][A-Za-z0-9_.:-]{0,127}` lacks is rewritten, and turned back",
        A "what `[A-Za-z0-9_-]{1,64}` lacks is rewritten, and turned back"];
    Namespace("tools.namespace") [
        A "a name `namespace__tool`, turned back", M, A "a name `namespace__tool`, turned back",
        A "a name `namespace__tool`, turned back", A "a name `namespace__tool`, turned back",
        A "a name `namespace__tool`, turned back"];
    ToolHints("tools") [D, D, D, M, D, D];
    HostedTools("tools", "tools", "tools") [R, R, R, R, R, R];
    ToolChoice("tool_choice") [
        M, M, X "as the server's forms allow",
        X "`any`, `tool`; thinking is turned off where it can be, families that always think refuse",
        M "`toolConfig`", X "Claude and Nova (`any`: Mistral too), else refused"];
    AllowedTools("tool_choice.allowed_tools") [
        M, M, A "only those tools are sent", A "only those tools are sent",
        X "`allowedFunctionNames`; in mode auto only those tools are sent",
        A "only those tools are sent"];
    Parallel("parallel_tool_calls", "parallel_tool_calls", "tool_choice.disable_parallel_tool_use") [
        M, M, X "dropped where it is refused", M "`disable_parallel_tool_use`", D, D];
    CallsWithoutTools("tools") [
        M, M, M, A "tools are made from the history, and none may be called", M,
        A "calls and results become text"];
    // The form of the answer.
    JsonSchema("response_format", "text.format", "output_config.format") [
        X "within the strict subset, else strict false",
        X "within the strict subset, else strict false",
        X "with the capability JsonSchema, else refused",
        X "`output_config.format` from Claude 4.5 on, within the subset; else refused",
        X "`responseJsonSchema`; Gemini 2.5 with tools refuses",
        X "`outputConfig.textFormat` for Claude 4.5 and later and models with JsonSchema; else refused"];
    JsonObject("response_format", "text.format", "output_config.format") [
        M, M, X "LM Studio: a schema `{\"type\": \"object\"}`", R "there is no such mode", M,
        R "there is no such mode"];
    // Thinking.
    Effort("reasoning_effort", "reasoning", "thinking") [
        X "to what the family has, else the nearest", X "to what the family has, else the nearest",
        X "as the server writes it, else dropped", X "budget or effort, as the family has it",
        X "`thinkingBudget` on 2.5, `thinkingLevel` later", X "Claude's fields; others as the model"];
    ThinkingOff("thinking") [A "off for this request", A "off for this request",
        A "off for this request", A "off for this request", A "off for this request",
        A "off for this request"];
    ReasoningMode("reasoning", "reasoning.mode", "thinking") [D, M, D, D, D, D];
    TaskBudget("task_budget", "task_budget", "output_config.task_budget") [D, D, D, M, D, D];
    // Length and sampling.
    MaxTokens("max_completion_tokens", "max_output_tokens", "max_tokens") [
        X "lowered to what the target allows", X "at least 16", X "lowered to what the target allows",
        X "obligatory: asked, else the target's, else 8192", X "lowered to what the target allows",
        X "lowered to what the target allows"];
    WarmUp("max_tokens") [R, R, R, M, R, R];
    Temperature("temperature") [
        X "dropped where the family takes only the default",
        X "dropped where the family takes only the default",
        X "clamped to the server's range; dropped where it is refused",
        X "above 1 clamped; dropped while thinking, and from Claude 4.7 on", M,
        X "above 1 clamped; dropped from Claude 4.7 on"];
    TopP("top_p") [
        X "dropped where the family takes only the default",
        X "dropped where the family takes only the default", X "dropped where it is refused",
        X "dropped beside temperature from Claude 4.1 on, while thinking, and from 4.7 on", M,
        X "as Anthropic for Claude"];
    TopK("top_k") [D, D, X "dropped where it is refused",
        X "dropped while thinking, and from Claude 4.7 on", M,
        X "`additionalModelRequestFields` for Claude, else dropped"];
    Stop("stop", "stop", "stop_sequences") [
        X "4 at most, and not by families that refuse it", R, X "4 at most, else refused",
        X "white space alone is left out", X "5 at most, else refused",
        X "white space alone is left out for Claude"];
    Seed("seed") [M, R, X "renamed or dropped, as the server has it", D, M, D];
    PresencePenalty("presence_penalty") [M, R, X "dropped where it is refused", D, M, D];
    FrequencyPenalty("frequency_penalty") [M, R, X "dropped where it is refused", D, M, D];
    Logprobs("logprobs", "include", "logprobs") [
        M, M "`include`", X "refused where the server lacks it", R, M "`responseLogprobs`", R];
    TopLogprobs("top_logprobs") [M, M, X "refused where the server lacks it", R,
        X "`logprobs`, 20 at most", R];
    N("n") [M, R, X "refused where the server lacks it", R,
        X "`candidateCount` to 8 before Gemini 3, else refused", R];
    LogitBias("logit_bias") [M, R, X "dropped where it is refused", R, R, R];
    // Who asks, and notes.
    User("user", "user", "metadata.user_id") [
        A "over 128 characters: its SHA-256", A "over 128 characters: its SHA-256",
        X "dropped where it is refused", M "`metadata.user_id`", D, D];
    SafetyIdentifier("safety_identifier", "safety_identifier", "metadata.user_id") [
        A "over 128 characters: its SHA-256", A "over 128 characters: its SHA-256",
        X "as `user`; dropped where it is refused", M "`metadata.user_id`", D,
        X "`requestMetadata.user_id` where it fits, else dropped"];
    Metadata("metadata") [M, M, X "sent where it is known, else dropped", D,
        X "`labels` on VertexAI where they fit, else dropped",
        X "`requestMetadata` where it fits, else dropped"];
    ServiceTier("service_tier") [
        X "auto, default, flex, priority, scale; else dropped",
        X "auto, default, flex, priority, scale; else dropped", X "where it is known, else dropped",
        X "auto; default as `standard_only`; others are dropped",
        X "flex, priority; default as standard; others are dropped",
        X "flex, priority, default; others are dropped"];
    Speed("speed") [D, D, D, M, D, D];
    Store("store") [X "true is bound to the account", X "absent: false; true is bound to the account",
        D, R "stored objects are bound to one account", R "stored objects are bound to one account",
        R "stored objects are bound to one account"];
    // Modalities and hosted services.
    Modalities("modalities") [M, R, X "with the capability Audio, else refused", R, R, R];
    AudioOut("audio") [M, R, X "with the capability Audio, else refused", R, R, R];
    WebSearch("web_search_options") [M, R, M, R, R, R];
    Prediction("prediction") [M, D, X "Mistral, else dropped", D, D, D];
    Verbosity("verbosity", "text.verbosity", "verbosity") [M, M "`text.verbosity`",
        D, D, D, D];
    Moderation("moderation") [X "passed on", X "passed on",
        X "a policy that blocks is refused, else dropped",
        X "a policy that blocks is refused, else dropped",
        X "a policy that blocks is refused, else dropped",
        X "a policy that blocks is refused, else dropped"];
    // Prompt caches.
    PromptCacheKey("prompt_cache_key") [M, M, X "dropped where it is refused", D, D, D];
    PromptCacheOptions("prompt_cache_options") [M, M, D, D, D, D];
    PromptCacheRetention("prompt_cache_retention") [M, M, D, D, D, D];
    CacheControl("cache_control") [D, D, X "where the server knows it, else dropped",
        X "the last 4 breakpoints", D, X "`cachePoint`, the last 4"];
    // Of Responses alone.
    PreviousResponse("previous_response_id") [R, R, R, R, R, R];
    Conversation("conversation") [R, R, R, R, R, R];
    ItemReference("input.item_reference") [R, R, R, R, R, R];
    Prompt("prompt") [R, R, R, R, R, R];
    Background("background") [R, R "stored objects are not served", R, R, R, R];
    Include("include") [D, M, D, D, D, D];
    Truncation("truncation") [D, M, D, D, D, D];
    ContextManagement("context_management") [D, D, D, M, D, D];
    Compaction("input.compaction") [R, R, R, R, R, R];
    MaxToolCalls("max_tool_calls") [D, M, D, D, D, D];
    Obfuscation("stream_options") [D, M, D, D, D, D];
    AccessPrograms("access_programs") [D, M, D, D, D, D];
    ImageOptions("image") [D, M, D, D, D, D];
    // Of Messages alone.
    ServerTools("mcp_servers") [R, R, R, M, R, R];
    Container("container") [R, R, R, M, R, R];
    Diagnostics("diagnostics") [D, D, D, M, D, D];
    InferenceGeo("inference_geo") [R, R, R, M, R, R];
    Fallbacks("fallbacks") [R, R, R, M, R, R];
    Thread("thread") [R, R, R, M, R, R];
    UserProfile("user_profile_id") [R, R, R, M, R, R];
    Workspace("workspace_id") [R, R, R, M, R, R];
    BillingPolicy("billing_policy") [R, R, R, M, R, R];
    Betas("anthropic-beta") [D, D, D, M, D,
        X "those that Bedrock has, in `additionalModelRequestFields`; else dropped"];
    // Completions.
    CompletionsOnly("prompt", "prompt", "prompt") [R, R, R, R, R, R];
    // Embeddings. `/responses` has none, and Claude's API has none.
    EmbedInput("input", "", "") [M, R "it makes no embeddings", M, R "it makes no embeddings",
        X "`batchEmbedContents`; VertexAI's `predict` and `embedContent`, where the models of \
           Gemini take one text a request: more are refused",
        R "each model has a form of its own"];
    EmbedTokens("input", "", "") [M, R "it makes no embeddings", M, R "it makes no embeddings",
        R "tokens are the model's own", R "each model has a form of its own"];
    Dimensions("dimensions", "", "") [M, R "it makes no embeddings",
        X "renamed or dropped, as the server has it", R "it makes no embeddings",
        M "`outputDimensionality`", R "each model has a form of its own"];
    EncodingFormat("encoding_format", "", "") [M, R "it makes no embeddings",
        X "base64 is made here where the server gives numbers only", R "it makes no embeddings",
        M "base64 is made here", R "each model has a form of its own"];
    // Whatever no row knows.
    Unknown("(unknown)") [X "passed on to the same protocol, else dropped",
        X "passed on to the same protocol, else dropped",
        X "passed on to the same protocol, else dropped", D, D, D];
}
