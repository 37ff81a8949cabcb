"""The leaderboard's page in a real browser: sorting, filtering, keyboard, themes, phones, and no request leaves it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.ui import WebDriverWait

from benchmark.results.board import read_board
from benchmark.results.page.write import page
from tests.results.helpers import ROW, averaged

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="needs Chromium and its driver: apt-get install chromium chromium-driver"
)
HOSTILE = "<img src=x onerror=alert(1)>"
ROWS = [
    *(replace(ROW, seed=seed, score=40.0 + seed) for seed in range(3)),
    replace(ROW, algorithm="pearl", score=9.0),
    replace(ROW, algorithm="other", score=100.0, settings=f"note={HOSTILE}"),
    replace(ROW, algorithm="meta-bc", split="half", score=60.0),
    replace(ROW, family="cheetah-dir-v1", algorithm="a-method-whose-name-is-long-enough-for-two-phones" * 2),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with two families and a hostile name."""
    folder = tmp_path_factory.mktemp("page")
    frame = averaged(folder, *ROWS)
    frame["trust"] = ["self-reported" if name == "pearl" else "" for name in frame["algorithm"]]
    (folder / "index.html").write_text(page(read_board(folder / "board"), frame))
    return (folder / "index.html").as_uri()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield browser
    browser.quit()


@pytest.fixture
def browser(started: webdriver.Chrome, address: str) -> Iterator[webdriver.Chrome]:
    """The page, freshly loaded before a wide screen; it must leave no error behind, nor any request."""
    screen(started, 1400)
    started.get("about:blank")
    started.get_log("performance")  # the browser's own start page
    started.get(address)
    started.execute_script("localStorage.clear()")
    started.get(address)
    yield started
    assert started.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in started.get_log("performance")]
    asked = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert asked <= {address, "data:,"}


def screen(browser: webdriver.Chrome, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def table(browser: webdriver.Chrome, family: str = "cheetah-vel-v1") -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, f'section[data-family="{family}"] table')


def heading(browser: webdriver.Chrome, name: str) -> WebElement:
    return next(one for one in table(browser).find_elements(By.TAG_NAME, "th") if one.text.startswith(name))


def shown(browser: webdriver.Chrome) -> list[str]:
    """Methods of the visible rows, from top to bottom."""
    rows = table(browser).find_elements(By.CSS_SELECTOR, "tbody tr")
    return [row.find_element(By.CSS_SELECTOR, ".method").text for row in rows if row.is_displayed()]


def test_a_click_sorts_by_number_and_another_turns_the_order_round(browser: webdriver.Chrome) -> None:
    score = heading(browser, "score")
    assert score.get_attribute("aria-sort") == "none"
    score.find_element(By.TAG_NAME, "button").click()
    assert shown(browser) == ["other", "meta-bc", "macaw", "pearl"]  # 100 before 60, 41, 9: not as texts
    assert score.get_attribute("aria-sort") == "descending"
    score.find_element(By.TAG_NAME, "button").click()
    assert shown(browser) == ["pearl", "macaw", "meta-bc", "other"]
    assert score.get_attribute("aria-sort") == "ascending"
    assert browser.find_element(By.ID, "status").text == "sorted by score, ascending"
    heading(browser, "method").find_element(By.TAG_NAME, "button").click()
    assert shown(browser) == ["macaw", "meta-bc", "other", "pearl"]
    assert score.get_attribute("aria-sort") == "none"


def test_the_keyboard_alone_sorts_and_shows_where_it_is(browser: webdriver.Chrome) -> None:
    button = heading(browser, "score").find_element(By.TAG_NAME, "button")
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the results"
    browser.execute_script(
        "arguments[0].focus()", heading(browser, "method").find_element(By.TAG_NAME, "button")
    )
    while browser.switch_to.active_element.text not in ("score", "trust"):
        browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element == button
    outline = button.value_of_css_property("outline-style"), button.value_of_css_property("outline-width")
    assert outline == ("solid", "3px")
    button.send_keys(Keys.ENTER)
    assert shown(browser)[0] == "other"
    button.send_keys(Keys.SPACE)
    assert shown(browser)[0] == "pearl"


def clear_filters(browser: webdriver.Chrome) -> None:
    """The form empties its fields after its button's click, and the page filters after that."""
    browser.find_element(By.CSS_SELECTOR, "#filters button").click()
    status = browser.find_element(By.ID, "status")
    WebDriverWait(browser, 10).until(lambda _: status.text == "8 of 8 lines")


def test_filters_narrow_all_tables_and_are_cleared(browser: webdriver.Chrome) -> None:
    browser.find_element(By.ID, "text").send_keys("PEARL")
    assert shown(browser) == ["pearl"]
    other = browser.find_element(By.CSS_SELECTOR, 'section[data-family="cheetah-dir-v1"] .none')
    assert other.text == "No results of cheetah-dir-v1 match the filter."
    clear_filters(browser)
    assert len(shown(browser)) == 4
    for name, value, left in (
        ("split", "half", ["meta-bc"]),
        ("trust", "self-reported", ["pearl"]),
        ("family", "cheetah-dir-v1", []),
    ):
        Select(browser.find_element(By.ID, name)).select_by_visible_text(value)
        assert shown(browser) == left
        clear_filters(browser)


def test_a_name_with_html_in_it_is_shown_as_text(browser: webdriver.Chrome) -> None:
    assert f"note={HOSTILE}" in table(browser).text
    assert browser.find_elements(By.TAG_NAME, "img") == []


def test_the_theme_follows_the_system_until_it_is_chosen_and_is_kept(
    browser: webdriver.Chrome, address: str
) -> None:
    def background() -> str:
        return browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")

    def prefer(scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    prefer("light")
    light, button = background(), browser.find_element(By.ID, "theme")
    prefer("dark")
    dark = background()
    assert dark != light
    WebDriverWait(browser, 10).until(
        lambda _: button.text == "Light theme"
    )  # the page hears of it a little later
    button.click()
    assert (background(), button.text) == (light, "Dark theme")
    browser.get(address)
    assert background() == light
    prefer("")


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_background(browser: webdriver.Chrome, theme: str) -> None:
    browser.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
    paper = luminance(browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color"))
    for selector in ("body", "caption", ".numbers small", ".mark span", "thead button"):
        ink = luminance(browser.find_element(By.CSS_SELECTOR, selector).value_of_css_property("color"))
        contrast = (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)
        assert contrast >= 4.5, f"{selector}: {contrast:.1f}"


@pytest.mark.parametrize("width", [320, 360, 768, 1000, 1248, 1280])
def test_the_page_never_scrolls_sideways(browser: webdriver.Chrome, width: int) -> None:
    screen(browser, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    for text in ("41.0", "adapted", "trust: self-reported" if width < 1248 else "self-reported"):
        assert text in table(browser).text


def test_screen_readers_are_told_what_each_thing_is(browser: webdriver.Chrome) -> None:
    for one in browser.find_elements(By.TAG_NAME, "table"):
        assert one.find_element(By.TAG_NAME, "caption").text
        assert one.find_elements(By.CSS_SELECTOR, "thead th[scope=col] button")
        assert one.find_elements(By.CSS_SELECTOR, "tbody th[scope=row]")
    for name in ("text", "family", "split", "context", "trust"):
        assert browser.find_element(By.ID, name).accessible_name
    curves = browser.find_element(By.CSS_SELECTOR, "figure svg[role=img]")
    assert "Return at the end" in curves.accessible_name
