# SPDX-License-Identifier: BSD-3-Clause
"""Run only the lower or only the upper blocks of an encoder."""

import copy
import threading

import torch
from torch import nn

from ._blocks import block_lists
from ._inputs import encoder_inputs


def cut_encoder(encoder, n_lower):
    """Cut an encoder in two parts, above its `n_lower` lowest blocks.

    Returns
    -------
    CutEncoder or None
        None if running the two parts one after the other does not give the exact output
        of the encoder, for example because the blocks exchange more than hidden states.
    """
    lists = block_lists(encoder)
    if len(lists) != 1:
        return None
    cut = CutEncoder(encoder, *lists, n_lower)
    modes = {module: module.training for module in encoder.modules()}
    encoder.eval()  # the check compares outputs, which dropout would change
    try:
        return cut if cut.is_exact() else None
    except Exception:  # the code of a family may fail with stand-ins
        return None
    finally:
        for module, mode in modes.items():
            module.training = mode


class CutEncoder:
    """An encoder in two parts, which share the weights of the original encoder.

    Each family of encoders has its own code for embeddings, masks and positions. This
    code runs unchanged, but each block is replaced by a module that either runs or
    skips the block. If the block is skipped, the module returns the input of the block.
    If a skipped block is below the cut and hidden states at the cut are given, the
    module returns these states instead.

    Parameters
    ----------
    encoder : torch.nn.Module
    name : str
        Name of the ``ModuleList`` of the blocks.
    n_lower : int
        Number of blocks below the cut.
    blocks : list of torch.nn.Module or None
        Modules that run instead of the encoder's blocks. If None, the encoder's own
        blocks run.
    """

    def __init__(self, encoder, name, n_lower, blocks=None):
        self.n_blocks = encoder.config.num_hidden_layers
        self.n_lower = n_lower
        self._now = threading.local()  # state of a call, separate for each thread
        self._rest = None  # further outputs of a block that returns a tuple
        self._blocks = blocks
        self._encoder = _with_another(encoder, name.split("."), self._stand_in)

    def _stand_in(self, blocks):
        blocks = self._blocks or blocks
        return nn.ModuleList(_StandIn(self, i, block) for i, block in enumerate(blocks))

    def states(self, input_ids, attention_mask, layers):
        """Return the hidden states of `layers`.

        The other arguments are those of :meth:`lower`.
        """
        inputs, last = self._run(input_ids, attention_mask, range(max(layers)))
        outputs = {**inputs, self.n_blocks: last}
        return [outputs[layer] for layer in layers]

    def lower(self, input_ids, attention_mask):
        """Return the hidden states of the layers up to the cut, lowest layer first.

        Parameters
        ----------
        input_ids, attention_mask : tensor of int64, shape (n_windows, n_tokens)

        Returns
        -------
        list of tensor, each (n_windows, n_tokens, n_features)
        """
        inputs, _ = self._run(input_ids, attention_mask, range(self.n_lower))
        return [inputs[i] for i in range(self.n_lower + 1)]

    def upper(self, input_ids, attention_mask, states, top):
        """Return the hidden states above the cut, computed from those at the cut.

        Parameters
        ----------
        input_ids, attention_mask : tensor of int64, shape (n_windows, n_tokens)
        states : tensor, shape (n_windows, n_tokens, n_features)
            Hidden states at the cut.
        top : int
            Number of the highest block to run, counted from 1.

        Returns
        -------
        list of tensor, each (n_windows, n_tokens, n_features)
        """
        wanted = range(self.n_lower, top)
        inputs, last = self._run(input_ids, attention_mask, wanted, states)
        outputs = {**inputs, self.n_blocks: last}
        return [outputs[i + 1] for i in wanted]

    def _run(self, input_ids, attention_mask, wanted, given=None):
        now = self._now
        now.wanted, now.given, now.inputs = wanted, given, {}
        try:
            inputs = encoder_inputs(self._encoder, attention_mask)
            output = self._encoder(input_ids=input_ids, **inputs)
            return now.inputs, output.last_hidden_state
        finally:
            del now.given, now.inputs

    def step(self, i, block, states, args, kwargs):
        """Run block `i`, or skip the block if the current call does not need it."""
        now = self._now
        now.inputs[i] = states
        if i in now.wanted:
            output = block(states, *args, **kwargs)
            self._rest = output[1:] if isinstance(output, tuple) else None
            return output
        if i < now.wanted.start:
            states = now.given
        return states if self._rest is None else (states, *self._rest)

    def is_exact(self):
        """Return whether both parts together give the exact output of the encoder."""
        ids = torch.arange(1, 5)[None]
        ids, mask = ids.to(self._encoder.device), torch.ones_like(ids)
        with torch.no_grad():
            inputs, last = self._run(ids, mask, range(self.n_blocks))
            lower = self.lower(ids, mask)
            upper = self.upper(ids, mask, lower[-1], self.n_blocks)
        rest = [each for each in self._rest or () if each is not None]
        if rest or last.shape[:2] != lower[-1].shape[:2]:
            return False
        parts = [*lower, *upper]
        whole = [*(inputs[i] for i in range(self.n_blocks)), last]
        return all(map(torch.equal, parts, whole))


class _StandIn(nn.Module):
    """A module that replaces a block. Its CutEncoder decides whether the block runs."""

    def __init__(self, owner, index, block):
        super().__init__()
        self._owner, self._index = owner, index
        self.block = block

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:  # the code of the family reads attributes of blocks
            return getattr(super().__getattr__("block"), name)

    def forward(self, states, *args, **kwargs):
        return self._owner.step(self._index, self.block, states, args, kwargs)


def _with_another(module, path, change):
    """Return a copy of a module with ``change(part)`` as the part at `path`.

    The copy shares all other parts with the module.
    """
    if not path:
        return change(module)
    twin = copy.copy(module)
    part = _with_another(getattr(module, path[0]), path[1:], change)
    twin.__dict__["_modules"] = {**module._modules, path[0]: part}
    return twin
