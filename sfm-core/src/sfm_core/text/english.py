"""What the analyzer knows of English beyond its stemmer."""

from __future__ import annotations

_FUNCTION_WORDS = """
a an the this that these those some any each both all few more most other such own same
i me my myself we our ours ourselves you your yours yourself yourselves
he him his himself she her hers herself it its itself they them their theirs themselves
am is are was were be been being have has had having do does did doing
can could might must shall should will would ought
who whom whose which what when where why how
and or but nor if then else because as until while so than too very just only not no
of at by for with without about against between into through during before after above below
to from up down in out on off over under again further once here there now
dont doesnt didnt isnt arent wasnt werent wont wouldnt cant couldnt shouldnt
hasnt havent hadnt aint
d ll m re s t ve
"""

STOP_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that say nothing about what a text is about.

The list is long on purpose: a question is mostly made of such words, and each
one that counts draws in memories that only happen to be worded like it.
"""

_IRREGULAR_FORMS = """
arise arose arisen | awake awoke awoken | become became | begin began begun | bend bent
bite bitten | bleed bled | blow blew blown | break broke broken | breed bred | bring brought
build built | burn burnt | buy bought | catch caught | choose chose chosen | come came
creep crept | deal dealt | dig dug | draw drew drawn | dream dreamt | drink drank drunk
drive drove driven | eat ate eaten | fall fell fallen | feed fed | feel felt | fight fought
find found | flee fled | fly flew flown | forbid forbade forbidden | forget forgot forgotten
forgive forgave forgiven | freeze froze frozen
get got gotten | give gave given | go goes went gone
grow grew grown | hang hung | hear heard | hide hid hidden | hold held | keep kept | kneel knelt
know knew known | lead led | leap leapt | learn learnt | leave left | lend lent | light lit
lose lost | make made | mean meant | meet met | pay paid | ride rode ridden | ring rang rung
run ran | say said | see saw seen | seek sought | sell sold | send sent | shake shook shaken
shine shone | shoot shot | show shown | shrink shrank shrunk | sing sang sung | sink sank sunk
sit sat | sleep slept | slide slid | speak spoke spoken | spend spent | spill spilt | spin spun
stand stood | steal stole stolen | stick stuck | sting stung | strike struck | strive strove
swear swore sworn | sweep swept | swim swam swum | swing swung | take took taken | teach taught
tear tore torn | tell told | think thought | throw threw thrown | understand understood
undertake undertook undertaken | wake woke woken | wear wore worn | weave wove woven
weep wept | win won | withdraw withdrew withdrawn | write wrote written
child children | foot feet | goose geese | man men | mouse mice | person people | tooth teeth
wife wives | woman women
"""

BASE_FORMS = {
    form: base
    for line in _IRREGULAR_FORMS.strip().splitlines()
    for base, *forms in (entry.split() for entry in line.split("|"))
    for form in forms
}
"""Irregular forms and what they are forms of; a stemmer knows endings only.

Forms that are more often another word (rose, lay, ground, bore) are left out.
"""

_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"

NUMBER_WORDS = {word: str(number) for number, word in enumerate(_NUMBERS.split())}
"""Numbers that people write as words as often as in digits."""
