#!/usr/bin/env python3
"""The other side of coco-eval.mjs: scores the same files with pycocotools or faster-coco-eval, prints one JSON line
per run.

usage: coco_eval_peer.py BACKEND ANNOTATIONS RESULTS MAX_DETS   (BACKEND: pycocotools | faster_coco_eval)
"""

import contextlib
import io
import json
import resource
import sys
import time

backend, annotations, results, max_dets = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
with contextlib.redirect_stdout(io.StringIO()):
    if backend == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval as Evaluation
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as Evaluation

    start = time.perf_counter()
    truth = COCO(annotations)
    detections = truth.loadRes(results)
    loaded = time.perf_counter()
    evaluation = Evaluation(truth, detections, "bbox")
    evaluation.params.maxDets = max_dets
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    done = time.perf_counter()
print(
    json.dumps(
        {
            "backend": backend,
            "seconds": {"load": loaded - start, "evaluate": done - loaded},
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "stats": [float(v) for v in evaluation.stats[:12]],
        }
    )
)
