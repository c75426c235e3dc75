// Command lines that the help of each command shows.

/** By the name of the command. A test holds that the flags exist. */
export const examples: Readonly<Record<string, readonly string[]>> = {
  rfdetr: [
    "rfdetr demo",
    "rfdetr data check birds/",
    "rfdetr train --data birds/ --model nano --epochs 50",
    "rfdetr predict photos/ --weights runs/nano --threshold best",
  ],
  "rfdetr train": [
    "rfdetr train --data birds/ --model nano --epochs 50",
    "rfdetr train --data birds/ --model small --batch auto --set early_stopping=true",
    "rfdetr train --data birds/ --model small --dry-run",
    "rfdetr train --config settings.json --seed 1 --out runs/second",
    "rfdetr train --data birds/ --model nano --processes 2 --max-restarts 3",
    "rfdetr train --resume runs/nano",
  ],
  "rfdetr val": [
    "rfdetr val --weights runs/nano --data birds/",
    "rfdetr val --weights nano --data coco/ --split test --json",
    "rfdetr val --weights runs/nano --data birds/ --out birds-evaluation",
    "rfdetr val --predictions results.json --annotations birds/valid/_annotations.coco.json",
  ],
  "rfdetr predict": [
    "rfdetr predict photos/ --weights runs/nano --threshold best --out drawn",
    "rfdetr predict 'photos/**/*.jpg' --weights nano --threshold 0.3 --json",
    "rfdetr predict photos/ --weights nano --format yolo --no-draw --out labelled",
    "rfdetr predict aerial.jpg --weights runs/nano --tiles 640 --class car",
    "rfdetr predict https://example.org/pond.jpg --weights nano --threshold 0.5 --threshold bird=0.3",
    "rfdetr predict traffic.mp4 --weights nano --track --every 2 --out traffic",
  ],
  "rfdetr export": [
    "rfdetr export --weights runs/nano --data birds/",
    "rfdetr export --weights nano --out nano.onnx --batch dynamic --resolution 384x640",
    "rfdetr export --weights runs/nano --no-gridsample",
  ],
  "rfdetr demo-page": [
    "rfdetr demo-page best.onnx --out site --serve",
    "rfdetr demo-page site --serve",
    "rfdetr demo-page best.onnx --out site --gather-form best-gathers.onnx --example photo.jpg --title Birds",
  ],
  "rfdetr data": ["rfdetr data check birds/", "rfdetr data stats birds/", "rfdetr data synth emoji/ --images 200"],
  "rfdetr data synth": ["rfdetr data synth emoji/ --images 200 --size 128 --classes 4 --seed 1"],
  "rfdetr data check": [
    "rfdetr data check birds/",
    "rfdetr data check birds/ --fix birds-repaired/",
    "rfdetr data check birds/ --json",
  ],
  "rfdetr data stats": ["rfdetr data stats birds/", "rfdetr data stats birds/ --out stats/"],
  "rfdetr data split": [
    "rfdetr data split photos/ photos-split/",
    "rfdetr data split videos/ videos-split/ --valid 0.15 --test 0.15 --by group --seed 1",
  ],
  "rfdetr data convert": [
    "rfdetr data convert birds/ birds-yolo/ --to yolo",
    "rfdetr data convert coco8.yaml coco8-coco/ --to coco",
  ],
  "rfdetr bench": ["rfdetr bench train --model nano", "rfdetr bench infer --precision 32-true bf16-mixed"],
  "rfdetr bench train": [
    "rfdetr bench train --model nano --batch 4 --precision 32-true bf16-mixed",
    "rfdetr bench train --against python --rounds 3 --busy",
  ],
  "rfdetr bench infer": [
    "rfdetr bench infer --model nano --batch 8",
    "rfdetr bench infer --against openvino onnxruntime --busy",
  ],
  "rfdetr bench ops": ["rfdetr bench ops --steps 20"],
  "rfdetr bench eval": ["rfdetr bench eval --images 5000 --detections 100"],
  "rfdetr bench load": [
    "rfdetr bench load --data birds/ --workers 0 2 4",
    "rfdetr bench load --size 1920x1080 --images 16",
  ],
  "rfdetr profile": [
    "rfdetr profile --model nano --batch 4",
    "rfdetr profile --weights runs/nano --data birds/ --infer --out trace.json",
  ],
  "rfdetr doctor": [
    "rfdetr doctor",
    "rfdetr doctor --weights runs/nano --data birds/",
    "rfdetr doctor --model nano --batch 4 --write settings.json",
  ],
  "rfdetr report": ["rfdetr report runs/nano", "rfdetr report runs/nano runs/nano-2 --out comparison.html"],
  "rfdetr numerics": ["rfdetr numerics runs/nano", "rfdetr numerics runs/nano --json"],
  "rfdetr control": [
    "rfdetr control runs/nano pause",
    "rfdetr control runs/nano override 'transformer.decoder.layers.*.linear2' fp32",
    "rfdetr control runs/nano undo",
  ],
  "rfdetr dash": ["rfdetr dash", "rfdetr dash experiments/ --port 8080"],
  "rfdetr convert": [
    "rfdetr convert checkpoint_best_total.pth birds.safetensors",
    "rfdetr convert runs/nano birds.pth",
  ],
  "rfdetr settings": ["rfdetr settings", "rfdetr settings lr_scheduler", "rfdetr settings --json"],
  "rfdetr demo": ["rfdetr demo", "rfdetr demo --images 200 --steps 100 --out runs/short", "rfdetr demo --processes 2"],
  "rfdetr completion": [
    "rfdetr completion bash > ~/.local/share/bash-completion/completions/rfdetr",
    "rfdetr completion zsh > ~/.zfunc/_rfdetr",
    "rfdetr completion fish > ~/.config/fish/completions/rfdetr.fish",
  ],
  "rfdetr setup": ["rfdetr setup", "rfdetr setup --libtorch /opt/libtorch"],
};
