# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the guide to contributing says about a baseline is enough, and it is little."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STEP = re.compile(r'^<!-- (write|add) (\S+) -->\n```\w+\n(.*?)^```$', re.M | re.S)


def test_a_baseline(tmp_path: Path) -> None:
    for name in 'torchgeo_tdpcr', 'tests', 'experiments', 'docs/api':
        ignored = shutil.ignore_patterns('__pycache__', 'generated')
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / 'pyproject.toml', tmp_path)
    guide = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    section = guide.split('## Add a baseline\n')[1].split('\n## ')[0]
    touched = []
    for kind, name, content in STEP.findall(section):
        path = tmp_path / name
        assert path.exists() == (kind == 'add')
        with path.open('a', encoding='utf-8') as file:
            file.write(content)
        touched.append(name)
    # The changelog is one more
    assert len(touched) + 1 == len(re.findall(r'^\*\*\d\.\*\*', section, re.M)) <= 5
    model, _, tests, _ = touched
    # The copy, and not the package that is installed, whose coverage is measured
    environ = {k: v for k, v in os.environ.items() if not k.startswith('COV')}
    all_have_tests = 'tests/models/baselines/test_all_baselines.py'
    done = subprocess.run(
        [
            *(sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider'),
            *(model, tests, all_have_tests, '-k', 'not compiles and not exports'),
        ],
        cwd=tmp_path,
        env=environ | {'PYTHONPATH': str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Its example, its own test, that it has tests, and those of all baselines
    passed = re.search(r'(\d+) passed', done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 12
