"""PyTorch's dense recurrent layers, timed in a process of their own.

Reads a case a line from standard input, as JSON, and answers with a line when
it is ready; then each empty line is answered by the seconds of one step.
Imports nothing of this project, so that it runs in an environment of its own.
"""

import json
import sys
import time

import torch


def layer_step(case):
    """A function that does one pass of a recurrent layer alone."""
    made = getattr(torch.nn, case["layer"])(
        case["units"], case["units"], batch_first=True
    )
    inputs = torch.randn(case["batch"], case["steps"], case["units"])
    if not case["trains"]:
        made.eval()

        def predict():
            with torch.inference_mode():
                made(inputs)[0][:, -1].sum().item()

        return predict
    inputs.requires_grad_(True)

    def train():
        made.zero_grad()
        inputs.grad = None
        made(inputs)[0].square().sum().backward()

    return train


class Classifier(torch.nn.Module):
    """The paper's text model."""

    def __init__(self, case):
        super().__init__()
        self.embedding = torch.nn.Embedding(case["vocabulary"], case["units"])
        self.recurrent = getattr(torch.nn, case["layer"])(
            case["units"], case["units"], batch_first=True
        )
        self.classes = torch.nn.Linear(case["units"], 2)

    def forward(self, texts):
        return self.classes(self.recurrent(self.embedding(texts))[0][:, -1])


def model_step(case):
    """A function that does one training step of the paper's text model."""
    model = Classifier(case)
    optimizer = torch.optim.Adam(model.parameters())
    loss_of = torch.nn.CrossEntropyLoss()
    texts = torch.randint(case["vocabulary"], (case["batch"], case["steps"]))
    labels = torch.randint(2, (case["batch"],))

    def train():
        optimizer.zero_grad()
        loss_of(model(texts), labels).backward()
        optimizer.step()

    return train


class LanguageModel(torch.nn.Module):
    """Embedding, stacked layers, decoder; states are carried over."""

    def __init__(self, case):
        super().__init__()
        units, words = case["units"], case["vocabulary"]
        self.embedding = torch.nn.Embedding(words, units)
        self.recurrent = torch.nn.LSTM(
            units, units, case["layers"], batch_first=True
        )
        self.decoder = torch.nn.Linear(units, words)
        self.states = None

    def forward(self, tokens):
        hidden, states = self.recurrent(self.embedding(tokens), self.states)
        self.states = tuple(each.detach() for each in states)
        return self.decoder(hidden)


def language_model_step(case):
    """A function that does one training step of a language model, with SGD."""
    model = LanguageModel(case)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    loss_of = torch.nn.CrossEntropyLoss()
    tokens, targets = torch.randint(
        case["vocabulary"], (2, case["batch"], case["steps"])
    )

    def train():
        optimizer.zero_grad()
        loss_of(model(tokens).flatten(0, 1), targets.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()

    return train


STEPS = {
    "layer": layer_step,
    "model": model_step,
    "language_model": language_model_step,
}


def main():
    step = None
    for line in sys.stdin:
        if not line.strip():
            start = time.perf_counter()
            step()
            print(time.perf_counter() - start, flush=True)
            continue
        case = json.loads(line)
        torch.set_num_threads(case["threads"])
        torch.manual_seed(0)
        step = STEPS[case["what"]](case)
        step()
        print(json.dumps({"torch": torch.__version__}), flush=True)


if __name__ == "__main__":
    main()
