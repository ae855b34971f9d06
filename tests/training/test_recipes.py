"""Recipes: every mistake is told before any work, with what exists; a saved recipe names no machine."""

import pytest
import yaml

from rnn_hub.errors import RnnHubError
from rnn_hub.training.arguments import build_arguments
from rnn_hub.training.recipes import apply_overrides, build_recipe, load_recipe, parse_yaml
from rnn_hub.training.run import train
from tests import tiny


@pytest.fixture
def recipe_file(tmp_path, corpus):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tiny.recipe(corpus, tmp_path / "run")), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    [("2e-3", 0.002), ("1", 1), ("no", "no"), ("true", True), ("null", None), ("[1, 2]", [1, 2]), ("a b", "a b")],
)
def test_yaml_values_have_the_types_people_mean(text, value):
    assert parse_yaml(text) == value
    assert type(parse_yaml(text)) is type(value)


def test_overrides_are_typed_and_reach_into_sections():
    values = apply_overrides({"training": {"bf16": False}}, ["training.bf16=true", "model.dropout=1e-1", "seed=7"])
    assert values == {"training": {"bf16": True}, "model": {"dropout": 0.1}, "seed": 7}


@pytest.mark.parametrize("override", ["training.bf16", "=3", "seed.deeper=1"])
def test_a_malformed_override_is_refused(override):
    with pytest.raises(RnnHubError, match="override|section"):
        apply_overrides({"seed": 1}, [override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sed=1", "unknown key 'sed' in the recipe; did you mean 'seed'"),
        ("task=translatoin", "unknown task 'translatoin'.*did you mean 'translation'"),
        ("dataset.sorce=en", "unknown key 'sorce' in dataset; did you mean 'source'.*known keys: .*target"),
        ("tokenizer.vocabulary_size=3", "unknown key 'vocabulary_size' in tokenizer"),
        ("tokenizer.vocab_size=many", "tokenizer.vocab_size must be int, not 'many'"),
        ("model.droput=0.1", "unknown key 'droput' in model; did you mean 'dropout'"),
        ("model.model_type=rnn", "unknown model.model_type 'rnn'"),
        ("model.cell_type=gruu", "gruu.*lstm"),
        ("model.attention_type=dots", "dots.*additive"),
        ("model.encoder_hidden_size=40", "of one size"),
        ("training.learning_rat=1", "unknown key 'learning_rat' in training; did you mean 'learning_rate'"),
        ("generation.num_beam=1", "unknown key 'num_beam' in generation; did you mean 'num_beams'"),
        ("seed=x", "seed must be int"),
        ("dataset=nothing", "dataset must be a mapping"),
    ],
)
def test_a_mistake_is_named_with_what_exists(recipe_file, override, message):
    with pytest.raises(RnnHubError, match=message):
        load_recipe(recipe_file, [override])


def test_a_refused_training_argument_gives_the_reason(tmp_path):
    for values in ({"eval_strategy": "sometimes"}, {"ema_decay": 2.0}, {"average_checkpoints": -1}):
        with pytest.raises(RnnHubError, match="training"):
            build_arguments(values, tmp_path, 1, "bleu", True)


def test_a_missing_column_lists_the_columns_before_any_work(corpus, tmp_path):
    recipe = build_recipe(tiny.recipe(corpus, tmp_path / "run", dataset={"target": "fr"}))
    with pytest.raises(RnnHubError, match="no column 'fr'.*en, de"):
        train(recipe)
    assert not (tmp_path / "run" / "tokenizer.json").exists()


def test_a_recipe_is_found_by_file_folder_and_released_name(recipe_file, monkeypatch):
    released = recipe_file.parent / "model_cards" / "tiny"
    released.mkdir(parents=True)
    recipe_file.rename(released / "recipe.yaml")
    monkeypatch.chdir(recipe_file.parent)
    for name in ("tiny", str(released), str(released / "recipe.yaml")):
        assert load_recipe(name).name == "tiny-en-de"
    with pytest.raises(RnnHubError, match="no recipe 'other'"):
        load_recipe("other")


def test_a_saved_recipe_keeps_the_experiment_and_no_path_of_the_machine(tmp_path, corpus):
    path = tmp_path / "recipe.yaml"
    values = tiny.recipe("owner/public", tmp_path / "run")
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    recipe = load_recipe(path, [f"dataset.path={corpus}", "training.learning_rate=5e-3", "training.resume=true"])
    saved = parse_yaml(recipe.to_yaml())
    assert recipe.dataset.path == str(corpus)
    assert saved["dataset"]["path"] == "owner/public"
    assert saved["training"]["learning_rate"] == 0.005
    assert str(tmp_path) not in recipe.to_yaml()
    assert not {"output_dir", "resume", "use_cpu"} & saved["training"].keys()
