//! The table of what a person would look for in a prompt, each with the name by which explanations
//! tell of it.
//!
//! Phrases are in lower case. `(a|b|)` is a choice, perhaps of nothing; a phrase begins and ends
//! at the border of a word unless `*` stands there; `^` begins the text; `{language}` is one of
//! [`LANGUAGES`]. The features of the table are three for each rule, so its order is that of the
//! model file: a change here needs a new model.

mod abroad;
mod topics;

/// One thing to look for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// Any of these phrases.
    Phrases(&'static [&'static str]),
    /// A phrase that ends at most so many bytes after another has ended.
    Near {
        /// What comes first.
        first: &'static [&'static str],
        /// Bytes between the two ends.
        within: usize,
        /// What follows.
        then: &'static [&'static str],
    },
    /// What no phrase can say.
    Shape(Shape),
}
use Rule::{Near, Phrases};

/// Shapes, which [`crate::shapes`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Shape {
    /// Three backquotes.
    Fence,
    /// `);`, `=>`, `->`, `::`, `</a`, or a line that ends in `{`, `}` or `;`.
    Code,
    /// A word directly before a bracket, and the bracket's end.
    Call,
    /// A line that begins as code does.
    CodeLine,
    /// `"""`, `'''` or `>>>`.
    Docstring,
    /// A backslash and a word, or something between two dollars.
    Tex,
    /// Two operands and an operator.
    Arithmetic,
    /// `$5`, `5%`.
    Amount,
    /// A line that begins with a bullet or a number.
    Item,
    /// A line that begins with `A)`, `(b)` or the like.
    Choice,
    /// A choice between two words at the end: `hot or cold?`
    OrAtEnd,
    /// A name of a file with a technical ending, or a path.
    File,
}

/// How many shapes there are.
pub(crate) const SHAPE_KINDS: usize = 12;

/// Names of languages.
pub(crate) const LANGUAGES: &str = "english|french|german|spanish|chinese|mandarin|cantonese|\
    japanese|korean|hindi|arabic|italian|russian|portuguese|dutch|polish|turkish|vietnamese|hebrew|\
    greek|latin|swedish|czech|romanian|finnish|ukrainian|thai|indonesian|bengali|tamil|urdu|persian|\
    norwegian|danish|hungarian|swahili";

/// The last rules of the table, which are words of trades: a subject, and no sign of a wish.
pub(crate) const TRADES: usize = 25;

/// The rules and their names.
pub(crate) const RULES: &[(&str, Rule)] = &[
    // Translation.
    ("asks to translate", Phrases(&["translat*"])),
    ("in or into a language", Phrases(&["(in|to|into|from) {language}"])),
    (
        "how one says it",
        Phrases(&[
            "how (do|would|does|can|could|to) (you|i|they|one|we|someone|) (say|write|pronounce)",
            "how to (say|write|pronounce)",
            "word for",
        ]),
    ),
    (
        "to say it in a language",
        Near {
            first: &["say", "put", "write", "express", "phrase", "render", "convert"],
            within: 60,
            then: &["(in|into|to) {language}"],
        },
    ),
    ("names a language", Phrases(&["{language}*"])),
    // Summarization.
    ("asks to summarize", Phrases(&["summar(y|ies|is|iz)*"])),
    ("tl;dr", Phrases(&["tl;dr*", "tldr*"])),
    (
        "asks for the gist",
        Phrases(&[
            "key (points|takeaways|ideas|facts)",
            "main (point|points|idea|ideas|topic)",
            "in a nutshell",
            "boil(s|) (it |this |that |) down",
            "in brief",
            "brief(ly|) (overview|description|account)",
            "condense*",
            "shorten*",
            "recap",
            "synopsis",
            "sum (it |this |that |) up",
            "sum up",
            "(one|single|two|1|2) sentence*",
            "few (words|sentences)",
            "gist",
            "(short|shorter|abridged) version",
            "takeaway(s|)",
            "highlights",
            "abstract",
        ]),
    ),
    // Coding.
    ("code block", Rule::Shape(Shape::Fence)),
    (
        "word of a programming language",
        Phrases(&[
            "(def|class|import|return|function|const|var|let|public|void|select|from|include|printf|console)",
        ]),
    ),
    (
        "names a technology",
        Phrases(&[
            "(python|java|javascript|typescript|golang|rust|sql|php|ruby|kotlin|swift|scala|haskell)",
            "(perl|matlab|html|css|bash|shell|linux|docker|kubernetes|git|react|django|flask|pandas)",
            "(numpy|pytorch|tensorflow|api|regex|json|xml|android|vba|excel|powershell|node|nginx)",
            "(aws|terraform|ansible|mysql|postgres|postgresql|mongodb|redis|webpack|unity|arduino)",
            "(latex|yaml|opencv|c++|c#|.net|*.js|vue|angular|svelte|jenkins|github|makefile|cmake)",
        ]),
    ),
    (
        "speaks of programs",
        Phrases(&[
            "(code|script|program|function|algorithm|bug|error|exception|compile|debug|implement|database|query|server|command)",
        ]),
    ),
    ("shape of code", Rule::Shape(Shape::Code)),
    // Classification.
    (
        "asks to classify",
        Phrases(&[
            "classif*",
            "categoris*",
            "categoriz*",
            "sentiment*",
            "toxic*",
            "spam",
            "offensive",
            "intent",
        ]),
    ),
    (
        "positive, negative, neutral",
        Near {
            first: &["(positive|negative|neutral)"],
            within: 40,
            then: &["(positive|negative|neutral|mixed)"],
        },
    ),
    (
        "asks which label",
        Phrases(&[
            "(which|what) (category|topic|label|section|class|genre|intent|emotion|rating|type|kind)",
            "choose (one|from|between)",
            "one of the following",
            "(option|options):*",
            "possible (labels|categories)",
            "pick (one|the)",
            "label(s|)",
        ]),
    ),
    (
        "asks whether",
        Near {
            first: &["(is|are|does|do|can|would|should) (this|the|it|these|that|they|we)"],
            within: 140,
            then: &[
                "or not",
                "true or false",
                "yes or no",
                "true, false",
                "entail*",
                "equivalent",
                "paraphrase*",
                "same meaning",
                "duplicate(s|)",
                "(positive|negative)",
            ],
        },
    ),
    (
        "yes or no",
        Phrases(&[
            "true or false",
            "yes or no",
            "yes, no",
            "(determine|decide|identify) (if|whether)",
            "whether or not",
            "detect",
        ]),
    ),
    // Mathematics.
    ("how many", Phrases(&["how (many|much|long|far|old|fast)"])),
    (
        "asks to calculate",
        Phrases(&[
            "(solve|calculate|compute|evaluate|simplify|prove)",
            "find the (value|sum|number|area|probability|maximum|minimum)",
        ]),
    ),
    (
        "speaks of mathematics",
        Phrases(&[
            "(equation|probability|integral|derivative|triangle|polynomial|matrix|theorem)",
            "(percent|average|remainder|divisible|integer|integers|fraction|geometry|algebra|puzzle)",
        ]),
    ),
    ("formula in TeX", Rule::Shape(Shape::Tex)),
    ("arithmetic", Rule::Shape(Shape::Arithmetic)),
    // Writing.
    (
        "asks to write a text",
        Near {
            first: &["(write|draft|compose|create|craft|generate|give me|tell|make|develop)"],
            within: 72,
            then: &[
                "(story|poem|haiku|email|e-mail|essay|article|letter|blog|song|lyrics|post|speech)",
                "(description|review|joke|paragraph|sentence|title|caption|headline|tweet|dialog)",
                "(dialogue|ad|novel|scene|rap|screenplay|monologue|bio|slogan|script|narrative)",
                "(fanfic|chapter|scenario|episode|character)",
            ],
        },
    ),
    (
        "asks to rewrite",
        Phrases(&["(rewrite|rephrase|paraphrase|proofread|reword|polish|edit|improve)"]),
    ),
    (
        "fiction",
        Phrases(&[
            "in the style of",
            "creative*",
            "fictional*",
            "plot*",
            "narrator*",
            "protagonist*",
            "rhym*",
        ]),
    ),
    // Questions.
    ("begins with a question word", Phrases(&["^(who|what|when|where|why|which|whose)"])),
    ("begins with how", Phrases(&["^how (do|to|can|does|did|is|are|would|should)"])),
    (
        "asks to explain",
        Phrases(&[
            "(explain|describe|recommend|suggest|advice|tips|ideas|list|difference between|tell me about|recipe)",
        ]),
    ),
    (
        "asks about a passage",
        Phrases(&["passage", "according to", "question:*", "answer the (following |)question"]),
    ),
    // Shapes and phrases beyond the first thirty.
    ("call of a function", Rule::Shape(Shape::Call)),
    ("line of code", Rule::Shape(Shape::CodeLine)),
    ("docstring or doctest", Rule::Shape(Shape::Docstring)),
    ("amount or percentage", Rule::Shape(Shape::Amount)),
    ("list", Rule::Shape(Shape::Item)),
    ("lettered choices", Rule::Shape(Shape::Choice)),
    ("a choice at the end", Rule::Shape(Shape::OrAtEnd)),
    ("file or path", Rule::Shape(Shape::File)),
    (
        "terms of programming",
        Phrases(&[
            "(variable|variables|loop|array|arrays|string|strings|list|boolean|object|pointer|parameter)",
            "(library|package|framework|endpoint|frontend|backend|refactor|unit test|unit tests|runtime)",
            "(stack trace|traceback|syntax|async|thread|recursion|recursive|data structure|linked list)",
            "(binary tree|hash map|dictionary|tuple|iterate|cli|ide|url|http|localhost|deploy|config)",
            "(commit|branch|repository|docstring|leetcode|pseudocode|software|module|plugin|web page)",
        ]),
    ),
    (
        "files and folders",
        Phrases(&[
            "(file|files|folder|folders|directory|directories|subdirectories|filename|permissions)",
        ]),
    ),
    (
        "an order to label",
        Phrases(&[
            "^(classify|label|tag|rate|score|judge|assess|sort|group|categorize|categorise|predict)",
            "^(identify|determine|decide|detect|separate|divide)",
            "(output|answer|respond|reply|return|say) (with |only |either |just |)(yes|no|true|false|0|1|positive)",
            "into (one of |) (the |these |) (following |two |three |different |) (categories|classes|groups|types)",
        ]),
    ),
    (
        "asks which of some",
        Phrases(&[
            "which (one |ones |) of (the|these|those|this|them)",
            "which (one |) is",
            "which are",
            "identify which",
            "tell me which",
            "is each",
            "each of the following",
            "the following words",
            "the following items",
            "belong(s|) to",
            "odd one out",
        ]),
    ),
    (
        "terms of labelling",
        Phrases(&[
            "(premise|hypothesis|entailment|contradiction|contradict|tweet|utterance|reviewer|stars)",
            "(do these|are these|do the two|are the two) (two |) (questions|sentences)",
            "(sarcastic|ironic|polite|grammatical|acceptable|grammatically correct|plausible|hateful)",
            "(category|categories|classes|tone|polarity|stance|topic|topics)",
            "feel about",
            "(good|positive|bad|happy) or (bad|negative|unhappy)",
        ]),
    ),
    (
        "a problem with conditions",
        Near {
            first: &["(if|when|suppose|given|assume|let|has|have|are|is|each|per|every)"],
            within: 260,
            then: &[
                "how (many|much|long|far|old|fast)",
                "what (is|was|will be) the (total|probability|average|area|volume|speed|length|sum|value|ratio|distance|price|cost|height)*",
            ],
        },
    ),
    (
        "terms of word problems",
        Phrases(&[
            "(twice|thrice|half|double|triple|dozen|each|total|remaining|altogether|left over|per)",
            "(speed|distance|km/h|mph|perimeter|radius|circumference|diameter|square root|interest rate)",
            "(more than|less than|fewer than|as many as|as much as|sum of|product of|ratio)",
        ]),
    ),
    (
        "terms of proofs",
        Phrases(&[
            "(prove|show) that",
            "(suppose|assume) that",
            "(lemma|corollary|proof|axiom|bijection)",
            "(vector|eigenvalue|eigenvalues|differential|variance|standard deviation|logarithm|sequence)",
            "(convergent|converges|continuous|bounded|finite|infinite|prime|primes|modulo|congruent)",
            "(angle|angles|square|circle|rectangle|hypotenuse|cosine|sine|tangent|quadratic|coefficient)",
            "solve for",
            "how many ways",
            "with replacement",
            "word problem",
            "math problem",
        ]),
    ),
    (
        "a given text",
        Phrases(&[
            "(the|this) (following |above |below |given |) (text|article|document|paragraph|story|conversation|email|report|news|speech|transcript|dialogue)",
            "(article|text|document|abstract|transcript|summary|headline|paragraph|news):*",
        ]),
    ),
    (
        "a title for a text",
        Phrases(&[
            "(title|headline|subject line|heading) (for|of|that)",
            "(what is|what's|what was) (this|it|the text|the article|the passage) about",
        ]),
    ),
    (
        "an order to write",
        Phrases(&[
            "^(please |can you |could you |help me |) (write|draft|compose|rewrite|craft|create|invent|imagine|continue|rephrase|generate)",
            "(i want you to act|act as|pretend|role-play|roleplay|imagine you|you are a writer)",
            "(in the voice of|first person|third person|point of view|tone|style|words long|word essay|500 words)",
        ]),
    ),
    (
        "kinds of texts",
        Phrases(&[
            "(story|poem|lyrics|song|essay|letter|blog|screenplay|novel|limerick|sonnet|fairy tale|tagline)",
            "(slogan|cover letter|resume|linkedin|newsletter|press release|toast|eulogy|backstory|fanfiction)",
            "(outline|script|monologue|speech|product description|caption|business plan|proposal|comedy)",
        ]),
    ),
    (
        "a question of yes or no",
        Phrases(&["^(is|are|was|were|do|does|did|can|could|would|will|has|have|had|should)"]),
    ),
    (
        "asks for a list or ideas",
        Phrases(&[
            "^(give|list|name|suggest|recommend|brainstorm|provide)",
            "(ways|things|examples|reasons|places|books|foods|pros and cons)",
            "(best|good|better) (way|ways|place|time)",
            "(should|can) i",
            "my (dog|cat|car|house|child|kid|son|daughter|friend|husband|wife)",
        ]),
    ),
    (
        "a question in a text",
        Phrases(&[
            "(who|whom|whose|when|where|why) (is|was|were|did|does|do|are|has|had|can|would)",
            "what (is|are|was|were|did|does|do|causes|happens)",
        ]),
    ),
    (
        "question and answer",
        Phrases(&[
            "q:*",
            "a:*",
            "answer:*",
            "context:*",
            "passage:*",
            "(based on|given) (the|this|a)",
        ]),
    ),
    // Other languages: the beginnings of words that ask for each category.
    ("asks to translate, in another language", Phrases(abroad::TRANSLATE)),
    ("asks to summarize, in another language", Phrases(abroad::SUMMARIZE)),
    ("asks to write, in another language", Phrases(abroad::WRITE)),
    ("kinds of texts, in another language", Phrases(abroad::TEXTS)),
    ("programs, in another language", Phrases(abroad::PROGRAMS)),
    ("mathematics, in another language", Phrases(abroad::MATHEMATICS)),
    ("labels, in another language", Phrases(abroad::LABELS)),
    ("a question, in another language", Phrases(abroad::QUESTIONS)),
    // Words of many trades.
    ("terms of statistics", Phrases(topics::STATISTICS)),
    ("quantities", Phrases(topics::QUANTITIES)),
    ("terms of higher mathematics", Phrases(topics::STRUCTURES)),
    ("asks for workings", Phrases(topics::WORKINGS)),
    ("dealings with numbers", Phrases(topics::DEALINGS)),
    ("parts of a story", Phrases(topics::STORIES)),
    ("a part to play", Phrases(topics::PARTS)),
    ("terms of marketing", Phrases(topics::MARKETING)),
    ("letters and wording", Phrases(topics::LETTERS)),
    ("asks for sentences or questions", Phrases(topics::SENTENCES)),
    ("pages and apps", Phrases(topics::APPS)),
    ("data and learning machines", Phrases(topics::DATA)),
    ("machines and networks", Phrases(topics::SYSTEMS)),
    ("an exercise in programming", Phrases(topics::EXERCISES)),
    ("health", Phrases(topics::HEALTH)),
    ("law, money and work", Phrases(topics::AFFAIRS)),
    ("the world", Phrases(topics::WORLD)),
    ("daily life", Phrases(topics::DAILY)),
    ("opinions", Phrases(topics::REVIEWS)),
    ("verdicts", Phrases(topics::VERDICTS)),
    ("things to sort", Phrases(topics::SORTING)),
    ("describes a task", Phrases(topics::TASKS)),
    ("speaks of a passage", Phrases(topics::PASSAGES)),
    ("the gist", Phrases(topics::GISTS)),
    ("speaks of languages", Phrases(topics::TONGUES)),
];
