"""Phrasings of the questions, and questions that the model must not try to answer."""

COLOUR_OF = [
    "What colour is the {}?",
    "What color is the {}?",
    "Which colour is the {}?",
    "Which color is the {}?",
    "What colour does the {} have?",
    "What is the colour of the {}?",
    "What is the color of the {}?",
]
SHAPE_OF = [
    "What shape is {}?",
    "Which shape is {}?",
    "What is the {} shape?",
    "What shape is the {} one?",
]
COUNT = [
    "How many {}?",
    "How many {} are there?",
    "How many {} do you see?",
    "How many {} are in the picture?",
    "Count the {}.",
]
LABEL = [
    "What does the {} say?",
    "What is written on the {}?",
    "What is the label of the {}?",
    "What is the text of the {}?",
    "Read the {}.",
]
CLICK = ["Click the {}.", "Click on the {}.", "Click the {}", "Press the {}.", "Where is the {}?"]
CLICK_WORD = ["Click {}", "Click {}.", "Click on {}.", "Press {}.", "Where is {}?"]

OTHER = """Who are you?|What are you?|Hello|Hi|Hi!|Hello!|What can you do?|Tell me a joke.
Write a poem about the sea.|What is the weather today?|What time is it?|Who made you?
What is the capital of France?|Translate this text.|Write a function in Python.|Thank you
Good morning|How are you?|What is your name?|Where do you live?|What is love?|Explain this.
Say hello|What is in this picture?|What do you see?|Describe the picture.|Write a story.
How old are you?|Why is the sky blue?|What is two plus two?|Can you help me?|Count to ten.
Which model are you?|Is there a dog?|What is the man doing?|Sing a song.|ping|test|Say hi
Summarise this text.|List three fruits.|Give me a recipe.|Reply with one word.|Hey there
What happened in 1989?|What does the man say?|How many people are there?|Who is she?""".replace(
    "\n", "|"
).split("|")

# Words of random sentences.
FILLER = """I you we the a an this that is are was be have has do does can will would should my your
what who where when why how which please tell me about say write explain give list name it of to in
on for with and or not story poem joke text code world model weather food city people time day night
dog cat house car water music game number word help today more less big small good bad new old"""
FILLER = FILLER.split()
