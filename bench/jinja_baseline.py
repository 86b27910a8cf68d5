"""What a script of a few lines does with Jinja2 and PyYAML: as many files of about the same size, no checks at all."""
import os
import sys

import jinja2
import yaml

machine_file, output_directory, file_count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(machine_file) as stream:
    machine = yaml.safe_load(stream)
environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
run = environment.from_string(
    "#!/bin/sh\n# {{ machine.id }}\nexec 2>&1\ncd /workspace/{{ name }}\n"
    "{% for key, value in settings.items() %}export {{ key | upper }}='{{ value }}'\n{% endfor %}"
    "exec python3 main.py --port {{ port }}\n"
)
services = list(machine["services"].items())
for index in range(file_count):
    name, settings = services[index % len(services)]
    text = run.render(machine=machine["machine"], name=f"{name}-{index}", settings=settings, port=8188 + index)
    directory = os.path.join(output_directory, f"{name}-{index % 40}")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, f"run-{index}"), "w") as stream:
        stream.write(text)
