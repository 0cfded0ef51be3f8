//! Words that tell what a prompt is about where it gives no order: terms of many trades, and what
//! belongs to stories, letters, reviews and advice. In the notation of the table.

/// Samples, tests and chance.
pub(super) const STATISTICS: &[&str] = &[
    "(random sample|sample size|sample mean|standard deviation|standard error|p-value|null hypothesis)",
    "(confidence interval|significance level|regression line|correlation coefficient|chi-square|t-test)",
    "(expected value|binomial|poisson|normal distribution|normally distributed|random variable|variance)",
    "(probability|probabilities|odds|dice|die is|coin|coins|marbles|urn|cards are drawn|permutation*)",
    "(combinatori*|independent events|conditional probability|bayes|z-score|median|quartile*)",
];

/// Quantities of physics and chemistry.
pub(super) const QUANTITIES: &[&str] = &[
    "(circuit|resistor|resistors|capacitor|capacitance|inductance|impedance|voltage|volt|volts|ohm|ohms)",
    "(velocity|acceleration|kinetic energy|momentum|friction|newton|newtons|joule|joules|torque|pendulum)",
    "(molar*|moles|mol|enthalpy|titration|reactant*|half-life|wavelength|frequency|hz|pressure|pascal)",
    "(kg|km|cm|mm|m/s|mph|km/h|litre|litres|liter|liters|gallon|gallons|inches|feet|meters|metres|acres)",
    "(thermodynamic*|adiabatic|electric field|magnetic field|projectile|lens|refractive|orbit*|mass of)",
];

/// Higher mathematics.
pub(super) const STRUCTURES: &[&str] = &[
    "(isomorph*|homomorphism*|abelian|subgroup*|ring|field extension|topolog*|manifold*|metric space)",
    "(injective|surjective|bijective|cardinality|subset|subsets|real numbers|natural numbers|rational numbers)",
    "(limit|limits|converge*|diverge*|power series|taylor|fourier|laplace|recurrence|generating function)",
    "(determinant|orthogonal|eigenv*|linear map|linear transformation|vector space|basis|span|rank|trace)",
    "(differential equation|partial derivative|gradient|integrate|integration|antiderivative|derivative of)",
    "(tangent line|parabola|ellipse|hyperbola|circumscribed|inscribed|bisector|parallel|perpendicular)",
    "(inequality|induction|contradiction that|if and only if|closed form|positive integer|positive integers)",
];

/// What asks for a calculation to be shown.
pub(super) const WORKINGS: &[&str] = &[
    "(show your work|show all work|show the steps|step by step|step-by-step|round your answer|nearest tenth)",
    "(nearest hundredth|decimal places|significant figures|in terms of x|final answer|justify your answer)",
    "(find the|determine the|calculate the|compute the|evaluate the|what is the value|find all|find x)",
    "(pts|theorem|lemma|solve this|equation for|ratio of|per hour|per day|per week|each day)",
];

/// Prices and shares in a tale with numbers.
pub(super) const DEALINGS: &[&str] = &[
    "(buys|bought|sells|sold|pays|paid|spends|spent|saves|saved|earns|earned|costs|cost|owes|borrows|lends)",
    "(gives away|gave away|has left|were left|are left|in all|in total|altogether|twice as many|times as many)",
    "(dollars|cents|euros|pounds|rupees|discount|profit|interest|tax rate|budget of|price of|cost of each)",
];

/// What stories are made of.
pub(super) const STORIES: &[&str] = &[
    "(scene|scenes|chapter|protagonist*|character|characters|plot|storyline|villain|hero|heroine|backstory)",
    "(fan fiction|fanfic|fanfiction|fantasy|sci-fi|thriller|romance|horror|comedy|sitcom|anime|manga|noir)",
    "(short story|short stories|fairy tale|bedtime|prologue|epilogue|cliffhanger|plot twist|happy ending)",
    "(novelist|screenwriter|screenplay|stage directions|dialogue|dialogues|monologue|narrat*|set in the)",
    "(once upon a time|vampire*|dragon|dragons|wizard*|pirate*|ghost*|kingdom|spaceship|superhero*|zombie*)",
    "(poem|poems|poetry|verse|stanza*|rhyme|rhymes|rhyming|lyrics|chorus|ballad|rap|song|songs|haiku)",
];

/// Parts to play.
pub(super) const PARTS: &[&str] = &[
    "(act as|roleplay|role-play|role play|role-playing|in character|pretend|game master|dungeon master)",
    "(simulate|you play|i play|your persona|stay in character|imagine that you|text adventure|rpg|dnd|d&d)",
    "(you are an expert|you are a|you are an|as an expert|take the role of|from the perspective of)",
];

/// Texts that sell.
pub(super) const MARKETING: &[&str] = &[
    "(seo|blog|blog post|article|copywrit*|headline|headlines|social media|instagram|facebook|tiktok)",
    "(youtube|linkedin|twitter|caption|captions|hashtags|slogan*|tagline*|brand|campaign|engaging|catchy)",
    "(newsletter|press release|landing page copy|product description*|target audience|call to action)",
    "(marketing|promotional|advert|advertisement|pitch|persuasive|tone of voice|professional tone|witty)",
    "(word count|words long|unique content|plagiarism|keywords|meta description|outline|essay|essays)",
];

/// Letters and the like.
pub(super) const LETTERS: &[&str] = &[
    "(email to|an email|letter to|a letter|reply to|respond to this|message to|cover letter|resume|cv)",
    "(subject line|sincerely|kind regards|best regards|dear|invitation|thank you note|apology|resignation)",
    "(proofread|grammar|punctuation|spelling|sound more|sounds better|make it|more formal|more professional)",
    "(reword|rephrase|paraphrase|rewrite|rewriting|my own words|in your own words|improve this|polish)",
];

/// New sentences and questions.
pub(super) const SENTENCES: &[&str] = &[
    "(write|generate|create|make|construct|form|produce|compose) (a|an|one|two|three|the|some|) (question|questions|sentence|sentences)",
    "(sentence|paragraph|text) (using|with|containing|that contains|from) (the|these|all|a)",
    "(complete|continue|finish|expand|extend|elaborate) (the|this|my|on)",
    "what happens next",
];

/// Pages and apps.
pub(super) const APPS: &[&str] = &[
    "(website|web app|web page|webpage|button|buttons|dropdown|navbar|popup|hover|div|component|components)",
    "(frontend|front-end|backend|back-end|full stack|responsive|layout|stylesheet|browser|chrome extension)",
    "(app|apps|mobile app|ios|android|user interface|ui|ux|widget|login page|authentication|oauth|token)",
    "(endpoint*|rest api|graphql|http request|webhook*|json|payload|middleware|session|cookie|cookies)",
    "(roblox|godot|unreal|unity|game engine|sprite|shader|canvas|svg|opengl|minecraft|arduino|raspberry pi)",
];

/// Data and learning machines.
pub(super) const DATA: &[&str] = &[
    "(dataset|datasets|data frame|dataframe|csv|spreadsheet|columns|rows|excel|google sheets|pivot)",
    "(neural network*|machine learning|deep learning|training data|tensor*|embedding*|transformer*|gpu|llm)",
    "(random forest|gradient descent|loss function|overfitting|cross-validation|scikit-learn|sklearn|keras)",
    "(sql|query|queries|table|tables|database|schema|primary key|foreign key|join|index|stored procedure)",
    "(matplotlib|pandas|numpy|ggplot|jupyter|notebook|visualiz*|pipeline|etl|spark|airflow|prompt engineering)",
];

/// Machines and networks.
pub(super) const SYSTEMS: &[&str] = &[
    "(linux|ubuntu|debian|windows|macos|terminal|command line|shell|sudo|ssh|cron|systemd|kernel|driver)",
    "(server|servers|aws|azure|gcp|cloud|vpc|subnet*|dns|firewall|proxy|nginx|apache|router|ip address)",
    "(docker*|container|containers|kubernetes|pod|pods|helm|terraform|ansible|jenkins|ci/cd|deploy*)",
    "(git|github|gitlab|repository|repo|commit|merge|pull request|branch|version control|install|installed)",
    "(cpu|ram|memory leak|latency|throughput|microcontroller|embedded|esp32|serial port|usb|bluetooth)",
];

/// Problems to be solved by a program.
pub(super) const EXERCISES: &[&str] = &[
    "(array|arrays|nums|linked list|binary tree|binary search|hash map|hashmap|stack|queue|substring*)",
    "(time complexity|space complexity|brute force|dynamic programming|test case|test cases|edge cases)",
    "(constraints|input:*|output:*|example 1|sample input|sample output|leetcode|codeforces|pseudocode)",
    "(return true|return false|returns true|return the|returns the|given a string|given an array|given a list)",
    "(function that|function to|program that|program to|script that|script to|method that|class that|code that|code to|code for)",
    "(write|create|implement|build|develop|make) (a |an |me a |) (function|program|script|class|method|app|bot|api|module|query|website|component|game)",
];

/// Bodies and minds.
pub(super) const HEALTH: &[&str] = &[
    "(doctor|symptom|symptoms|treatment|disease|medication|medicine|pain|diet|calories|protein|vitamin*)",
    "(pregnan*|blood|cancer|diabetes|depress*|anxiety|therapy|therapist|surgery|infection|vaccin*|virus)",
    "(weight loss|lose weight|workout|exercise|muscle|sleep|allerg*|skin|healthy|patient|patients|brain)",
];

/// Law, money and work.
pub(super) const AFFAIRS: &[&str] = &[
    "(law|legal|lawyer|court|contract|visa|immigration|citizen*|insurance|mortgage|loan|tax|taxes|invest*)",
    "(bank|credit card|stock market|economy|economic|inflation|company|companies|business|startup|career)",
    "(job|interview|salary|boss|employer|manager|university|degree|college|school|student*|teacher*)",
    "(policy|government|president|election|political|democracy|congress|parliament|minister)",
];

/// The world, its past and its creatures.
pub(super) const WORLD: &[&str] = &[
    "(war|battle|empire|king|queen|century|ancient|medieval|revolution|historical|history of|founded|dynasty)",
    "(planet|planets|sun|moon|stars|galaxy|universe|earth|ocean|river|mountain*|island*|climate|weather)",
    "(animal|animals|dog|dogs|cat|cats|bird|birds|fish|species|plant|plants|tree|trees|insects|dinosaur*)",
    "(capital of|population of|country|countries|city|cities|language of|currency|continent*|border*)",
    "(film|movie|movies|actor|actress|album|band|singer|tv show|series|author|book|books|painter|artist)",
    "(team|player|players|championship|world cup|olympic*|league|season|football|basketball|tennis)",
];

/// Daily life.
pub(super) const DAILY: &[&str] = &[
    "(recipe|recipes|cook|cooking|bake|oven|ingredients|dinner|breakfast|lunch|meal|meals|vegetarian|vegan)",
    "(travel|trip|vacation|holiday|itinerary|hotel|flight|airport|visit|places to|restaurant*|tourist*)",
    "(garden|clean|cleaning|stain|laundry|furniture|kitchen|bathroom|repair|battery|engine|tire|car|phone)",
    "(friend|friends|boyfriend|girlfriend|husband|wife|parents|kids|children|baby|relationship|dating|wedding)",
    "(i feel|i want to|i need to|i have been|i've been|my first|help me|should i|can i|advice|tips|recommend*)",
];

/// Opinions on goods and works.
pub(super) const REVIEWS: &[&str] = &[
    "(review|reviews|reviewer|reviewers|rating|stars|out of 5|out of 10|waste of money|waste of time)",
    "(highly recommend|would not recommend|disappointed|disappointing|boring|amazing|terrible|awful)",
    "(customer service|delivery|shipping|refund|arrived|product|bought this|ordered|the acting|this movie|this film|this book)",
];

/// Verdicts that a label gives.
pub(super) const VERDICTS: &[&str] = &[
    "(satisfied|dissatisfied|favorable|unfavorable|pleased|happy or|good or|true or|real or|safe or)",
    "(similar or|same or|related or|formal or|hate speech|hateful|racist|sexist|abusive|humorous|offensive)",
    "(imply|implies|entailed|inferred|follow from|follows from|inconclusive|neither|unrelated|supported|refuted)",
    "(choose the|select the|pick the|assign|assigned|labelled|labeled|following labels|following categories|following classes)",
    "(correct or incorrect|answer (with|in) (yes|true|one word|a)|otherwise (answer|say|output|return|generate|indicate))",
    "(given sentence|given text|given statement|given review|given tweet|given comment|following tweet|following sentence)",
];

/// Things to be sorted.
pub(super) const SORTING: &[&str] = &[
    "^(which|which one|which ones|which two|which three) (of|is|are)",
    "^(identify|classify|categorize|categorise|sort|group|separate|divide|label|tag|assign|split|bucket)",
    "(each of the|each of these|the following|these) (items|words|animals|foods|countries|cities|names|people|things|objects|numbers|sports|plants|songs|films|movies|sentences|statements|companies|brands|fruits|colors|colours|games|players|books|materials|activities) (as|into|by|is|are|belong)",
    "(is (a|an) (species of|type of)|alive or extinct|string or percussion|fruit or vegetable|fruits or vegetables|noun or|verb or)",
    "(based on whether|as either|as being|into two|into three|to the right|according to (their|its|the) (type|kind|category))",
];

/// Descriptions of tasks.
pub(super) const TASKS: &[&str] = &[
    "(in this task|your task is|your job is|you are given|you will be given|you're given|you need to|given a)",
    "(the task is|this task is|you should|you must|you have to|the input is|the output should|the input contains)",
];

/// Facts asked of a given text.
pub(super) const PASSAGES: &[&str] = &[
    "(in the passage|in the text|from the passage|from the text|the passage|the paragraph|mentioned in|given the context)",
    "(reference text|the context|using the text|based on the|according to the|answer the question|answer this question|answer to the question)",
    "(multiple choice|multiple-choice|correct answer|best answer|correct option|answer choices|options are|which option)",
    "(extract the|extract all|list the|list all|find the names|who is mentioned)",
];

/// The gist.
pub(super) const GISTS: &[&str] = &[
    "(in short|in summary|to summarize|briefly|short version|shorter|summary|summaries|abstract|synopsis|recap)",
    "(main points|main point|main idea|main ideas|key points|key ideas|key facts|most important points|takeaway*)",
    "(this article|the article|this document|the document|this report|this paper|this text|this passage) (about|says|mean|means|in|to|into|and|for|briefly)",
    "(sum this|sum it|condense|shorten|boil*|bullet points|bulleted list|nutshell|few words|one line|a sentence)",
];

/// Other languages named as such.
pub(super) const TONGUES: &[&str] = &[
    "{language} (language|sentence|translation|word|version|text|equivalent)",
    "(into|to) (the |) {language}",
    "from {language} (to|into)",
    "(translation|translations|translator|translated|translating|translates)",
    "(gujarati|punjabi|panjabi|marathi|telugu|malayalam|kannada|nepali|sinhala|khmer|lao|burmese|filipino|tagalog)",
    "(malay|javanese|catalan|galician|basque|croatian|serbian|bulgarian|slovak|slovenian|yoruba|igbo|hausa|zulu|afrikaans|icelandic)",
];
