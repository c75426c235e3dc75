#!/usr/bin/env python3
"""Goldens for the events of TensorBoard, as its own message classes write them.

    pip install tensorboard==2.21.0 && python tools/reference/tensorboard_goldens.py

With the folder of a run as argument, prints what TensorBoard's own reader finds in its event files instead.
"""

import json
import sys
from pathlib import Path

import tensorboard  # noqa: F401
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary

OUT = Path(__file__).resolve().parents[2] / "packages/rfdetr/src/run/files/tensorboard/fixtures/tensorboard.json"


def goldens():
    scalars = Summary(
        value=[Summary.Value(tag="train/loss", simple_value=0.5), Summary.Value(tag="val/AP", simple_value=-2)]
    )
    image = Summary.Image(height=300, width=480, colorspace=3, encoded_image_string=bytes(range(200)))
    pictures = Summary(value=[Summary.Value(tag="pictures/labels", image=image)])
    return {
        "version": Event(wall_time=1.5, file_version="brain.Event:2"),
        "scalars": Event(wall_time=1.5, step=70000, summary=scalars),
        "image": Event(wall_time=1.5, step=300, summary=pictures),
        "start": Event(wall_time=1.5, step=9, session_log=SessionLog(status=SessionLog.START)),
    }


def read(folder):
    events = EventAccumulator(folder, size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    for tag in events.Tags()["scalars"]:
        print(tag, [(event.step, event.value) for event in events.Scalars(tag)])
    for tag in events.Tags()["images"]:
        found = events.Images(tag)
        print(tag, [(event.step, event.width, event.height, len(event.encoded_image_string)) for event in found])


if len(sys.argv) > 1:
    read(sys.argv[1])
else:
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(
        json.dumps({name: event.SerializeToString().hex() for name, event in goldens().items()}, indent=1) + "\n"
    )
