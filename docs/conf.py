"""Settings of the documentation site; ``sh scripts/docs.sh`` builds it."""

import os
import sys
import tempfile
import warnings
from pathlib import Path

import outreach_frames

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "outreach_frames"
author = "the contributors"
version = release = outreach_frames.__version__
language = "en"

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "from_code"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

# References: every name in single backticks of a docstring is a link where it names something public.
nitpicky = True
default_role = "public"
nitpick_ignore_regex = [
    # Other libraries are not linked: their inventories would have to come from the network.
    (r"py:.*", r"(pandas|pd|pl|polars|numpy|pyarrow|matplotlib|requests|ipywidgets|narwhals|starlette|t)\..*"),
    (r"py:.*", r"(collections|contextlib|datetime|json|os|pathlib|typing)\..*"),
    # Words of docstrings that are also names of modules.
    (r"py:obj", r"body|requests|noncentrality|exact_evidence|ACCOUNTS|ENOUGH"),
    # Types that a reader meets in signatures only.
    (r"py:class", r"outreach_frames\.(\w+\.)*_.*|outreach_frames\.(catalog\.Catalog|connections\.ConnectionOptions)"),
    (r"py:class", r"Cache|Catalog|Response|Session|_Answer"),
]

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Each page is a notebook whose cells run while the site is built; a cell that fails, fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_show_tb = True
nb_merge_streams = True
nb_ipywidgets_js = {}  # explorers are shown as screenshots: their scripts would come from the network

# What the cells write stays out of the reader's own folders.
_private = tempfile.mkdtemp(prefix="outreach-docs-")
os.environ |= {f"XDG_{name}_HOME": f"{_private}/{name.lower()}" for name in ("CACHE", "CONFIG", "DATA", "STATE")}
os.environ |= {"COLUMNS": "100", "NO_COLOR": "1"}
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
for _name in [name for name in os.environ if name.startswith("OUTREACH_")]:
    del os.environ[_name]
warnings.filterwarnings("ignore", category=DeprecationWarning)

html_theme = "pydata_sphinx_theme"
html_title = f"outreach_frames {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_sidebars = {name: [] for name in ("index", "glossary")}
html_theme_options = {
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "footer_start": [],
    "footer_end": [],
    "header_links_before_dropdown": 6,
}
