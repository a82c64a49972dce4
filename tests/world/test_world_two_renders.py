import subprocess
import sys

CODE = """
import sys
from pathlib import Path
from unveil.world.build import render_world
from unveil.world.plan import World

if __name__ == "__main__":
    print(render_world(World(people=2, outfits=1, visits=2, frames=1, cameras=4), Path(sys.argv[1]), 1))
"""


def test_two_processes_that_ask_for_one_world_both_get_it_whole(tmp_path):
    (tmp_path / "render.py").write_text(CODE)
    command = [sys.executable, str(tmp_path / "render.py"), str(tmp_path / "world")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert out.strip() == str(tmp_path / "world" / "manifest.csv")
    assert {p.name for p in (tmp_path / "world").iterdir()} >= {"manifest.csv", "card.json", "crops"}
