"""The contract of each kind of component: one small abstract class a file."""

KINDS = {
    "loader": ("wmsforge.steps.loader:Loader",),
    "retriever": ("wmsforge.steps.retriever:Retriever",),
    "question_generator": ("wmsforge.steps.question_generator:QuestionGenerator",),
    "answer_generator": ("wmsforge.steps.answer_generator:AnswerGenerator",),
    "filter": ("wmsforge.steps.filter:Filter", "wmsforge.steps.filter:CorpusFilter"),
    "trainer": ("wmsforge.steps.trainer:Trainer",),
    "exporter": ("wmsforge.steps.exporter:DatasetExporter", "wmsforge.steps.exporter:ModelExporter"),
    "server": ("wmsforge.steps.server:Server",),
    "chat_model": ("wmsforge.steps.chat_model:ChatModel",),
    "embedder": ("wmsforge.steps.embedder:Embedder",),
    "evaluator": ("wmsforge.steps.evaluator:Evaluator",),
}
"""Every kind and its contracts as "module:Class"; a registering hook per kind is in hookspecs."""
