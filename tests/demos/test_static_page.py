"""The static page in a headless Chromium: the graphs write there what torch writes, and mistakes are one line."""

import functools
import http.server
import shutil
import subprocess
import threading

import pytest
import torch

from rnn_hub import RnnCausalLMConfig, RnnForCausalLM
from rnn_hub.data.tokenization import train_tokenizer
from tests.conftest import ROOT
from tests.demos.test_translation_browser import CHROMEDRIVER, CHROMIUM, OPTIONS

PAGE = ROOT / "demos" / "browser"
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
VERSION = next(
    line.partition("=")[2] for line in (PAGE / "prepare.sh").read_text().splitlines() if line.startswith("VERSION=")
)
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="needs a browser: apt-get install chromium chromium-driver"
)
WAIT = 90


def fetch_runtime(folder):
    """onnxruntime-web from beside the page, or from npm; without either the tests here skip."""
    if all((PAGE / "ort" / name).is_file() for name in RUNTIME):
        shutil.copytree(PAGE / "ort", folder)
        return
    if shutil.which("npm") is None:
        pytest.skip("needs onnxruntime-web: run demos/browser/prepare.sh, which needs npm")
    folder.mkdir()
    command = ["npm", "pack", "--silent", f"onnxruntime-web@{VERSION}", "--pack-destination", str(folder)]
    try:
        name = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.strip()
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"needs onnxruntime-web, which npm does not give: {error}")
    members = [f"package/dist/{member}" for member in RUNTIME]
    subprocess.run(["tar", "-xzf", folder / name, "-C", folder, "--strip-components=2", *members], check=True)


@pytest.fixture(scope="module")
def model():
    """A random model of characters, and its tokenizer."""
    torch.manual_seed(1)
    tokenizer = train_tokenizer(["abcdefg hijk\n"], 40, model_type="char", model_max_length=None, eos="none")
    sizes = {"vocab_size": len(tokenizer), "embedding_size": 8, "hidden_size": 16, "num_layers": 2}
    model = RnnForCausalLM(RnnCausalLMConfig(**sizes, tie_word_embeddings=False, initializer_range=1.0)).eval()
    for name, parameter in model.named_parameters():
        if "stack" in name:
            parameter.data.mul_(3)
    return model, tokenizer


@pytest.fixture(scope="module")
def address(model, tmp_path_factory):
    """The page over that model, served as any web space serves files."""
    pytest.importorskip("onnxscript")
    from rnn_hub.onnx.export import export

    root = tmp_path_factory.mktemp("page")
    for file in ("index.html", "page.js", "writer.js"):
        shutil.copy(PAGE / file, root)
    fetch_runtime(root / "ort")
    for part in model:
        part.save_pretrained(root / "weights")
    export(model[0], root / "weights", root / "model")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(root))
    handler.log_message = lambda *arguments: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def driver(address):
    """The page in a browser, its model loaded."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in OPTIONS:
        options.add_argument(option)
    browser = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    try:
        browser.get(address)
        wait_for(browser, "Ready.")
        yield browser
    finally:
        browser.quit()


def wait_for(browser, text):
    """Until the page's message has this text in it."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, WAIT).until(lambda _: text in browser.find_element("id", "message").text)


def fill(browser, **fields):
    """Writes into the fields and asks for a text."""
    for name, value in fields.items():
        browser.execute_script("document.getElementById(arguments[0]).value = arguments[1]", name, value)
    browser.find_element("id", "write").click()


def shown(browser):
    """The text on the page, spaces and all."""
    return browser.execute_script("return document.getElementById('text').textContent")


def test_the_page_writes_the_characters_that_torch_writes(driver, model):
    network, tokenizer = model
    fill(driver, prompt="abc hi", temperature="0", seed="1", length="40")
    wait_for(driver, "40 characters")
    ids = torch.tensor([tokenizer("abc hi")["input_ids"]])
    special = [*tokenizer.all_special_ids, 2]
    expected = network.generate(ids, max_new_tokens=40, do_sample=False, eos_token_id=-1, suppress_tokens=special)
    assert shown(driver) == "".join(tokenizer.convert_ids_to_tokens(expected[0].tolist()))


def test_a_seed_gives_its_text_again_and_another_seed_another(driver):
    texts = []
    for seed in ("5", "5", "6"):
        fill(driver, prompt="a", temperature="1", seed=seed, length="50")
        wait_for(driver, "50 characters")
        texts.append(shown(driver))
    assert texts[0] == texts[1] != texts[2]


def test_a_long_text_appears_as_it_is_written_and_can_be_stopped(driver):
    from selenium.webdriver.support.ui import WebDriverWait

    fill(driver, prompt="a", temperature="1", seed="1", length="100000")
    WebDriverWait(driver, WAIT).until(lambda _: len(shown(driver)) > 100)
    driver.find_element("id", "stop").click()
    wait_for(driver, "Stopped.")
    assert 100 < len(shown(driver)) < 100000


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt": "a€"}, 'does not know the character "€": leave it out'),
        ({"prompt": ""}, "The beginning is empty"),
        ({"temperature": "hot"}, 'Temperature is "hot": give a number from 0 to 5'),
        ({"seed": "-1"}, 'Seed is "-1": give a whole number from 0'),
        ({"length": "2.5"}, 'Characters is "2.5": give a whole number from 1'),
    ],
)
def test_a_mistake_is_one_line(driver, fields, message):
    fill(driver, **{"prompt": "a", "temperature": "1", "seed": "1", "length": "5", **fields})
    wait_for(driver, message)
    fill(driver, prompt="a", temperature="1", seed="1", length="5")
    wait_for(driver, "5 characters")


def test_the_page_and_its_preparation_want_the_same_runtime():
    assert f'const ORT = "{VERSION}";' in (PAGE / "page.js").read_text()
