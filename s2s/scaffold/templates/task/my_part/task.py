"""A task: translation, and copying as a second task."""

from s2s.errors import ConfigError
from s2s.nn import HeadLoss, Seq2Seq
from s2s.text.batch import Batch
from s2s.training.datamodule import PairData
from s2s.training.task import TaskModule
from s2s_plugins.tasks.seq2seq import Seq2SeqModule, Seq2SeqTask


class MyPartModule(Seq2SeqModule):
    """Learns to copy target sentences as well as to translate (after Currey et al. 2017)."""

    # `on_validation_epoch_end`, `save_bundle` and the like can be overridden as well.
    def batch_loss(self, batch: Batch) -> HeadLoss:
        """Sums over the real tokens of a batch; the step's loss is their mean."""
        translated: HeadLoss = super().batch_loss(batch)
        if not self.training:
            return translated
        assert isinstance(self.model, Seq2Seq)
        # The end mark, which no other source has, marks this one as to be copied.
        copied = self.model.loss(batch.gold, batch.inputs, batch.gold.ids)
        return HeadLoss(
            translated.total + copied.total,
            translated.nll + copied.nll,
            translated.tokens + copied.tokens,
        )


class MyPart(Seq2SeqTask):
    """Translation with a second task: the target sentence is also read, and copied."""

    module = MyPartModule
    data = PairData

    @classmethod
    def connect(cls, module: TaskModule, data: PairData) -> None:
        """Refuse invalid options, before data is prepared."""
        super().connect(module, data)
        assert isinstance(module, MyPartModule)
        if not module.ties["share_embeddings"]:
            what = "MyPart reads target sentences with the source's embedding"
            raise ConfigError(f"{what}; set model.share_embeddings: true")
