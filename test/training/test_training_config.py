"""Experiments: what is wrong with one is said before anything starts."""

from pathlib import Path

from helpers.data import ROOT
import pytest
import yaml

from derain_ros.model.network import Shape, SHAPES
from derain_ros.model.released import MODELS
from training.configuration import read_config
from training.errors import ConfigError

CONFIGS = ROOT / 'training' / 'config'


def quick(tmp_path: Path, **changes: object) -> Path:
    """Write the quick experiment with some keys changed, or, where None, left out."""
    values = yaml.safe_load((CONFIGS / 'quick.yaml').read_text()) | changes
    path = tmp_path / 'experiment.yaml'
    path.write_text(
        yaml.safe_dump({key: value for key, value in values.items() if value is not None})
    )
    return path


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.yaml')), ids=lambda path: path.stem)
def test_shipped_experiments_can_run(path: Path) -> None:
    config = read_config(path)

    if config.start is not None:
        released = MODELS / f'{config.start}.onnx'
        assert released.is_file() or (ROOT / config.start).is_file()


def test_the_reference_is_the_paper() -> None:
    config = read_config(CONFIGS / 'reference.yaml')

    assert (
        config.shape,
        config.matching,
        config.batch,
        config.crop,
        config.crops_per_image,
        config.flips,
        config.learning_rate,
        config.weight_decay,
    ) == (SHAPES['reference'], 1.0, 16, 64, 100, False, 5e-4, 0)
    images = 200 - len(range(config.validation[0], config.validation[1] + 1))
    assert config.steps * config.batch == 100 * images * config.crops_per_image


def test_a_shape_can_be_spelt_out(tmp_path: Path) -> None:
    config = read_config(quick(tmp_path, shape={'channels': 48, 'units': 4, 'unshuffle': 2}))

    assert config.shape == Shape(channels=48, units=4, scales=3, unshuffle=2)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'still_layers': 0.1}, 'are taken from real.still, which is empty'),
        ({'drizzle': -0.1}, 'drizzle: should be greater than or equal to 0, not -0.1'),
        (
            dict.fromkeys(('synthetic', 'layers', 'identity'), 0.0)
            | {'pairs': {}, 'clean': [], 'drizzle': 0.1},
            'drizzle and still_layers fall on the images of clean and pairs',
        ),
        ({'learning_rat': 1e-3}, "unknown key 'learning_rat'; did you mean 'learning_rate'?"),
        ({'real': {'folder': ['x']}}, "real: unknown key 'folder'; did you mean 'folders'?"),
        (
            {'real': {'bags': [{'path': 'x', 'topic': 'y'}]}},
            "real.bags[0]: unknown key 'topic'; did you mean 'topics'?",
        ),
        (
            {'real': {'bags': [{'path': 'x', 'topics': 'y'}]}},
            "real.bags[0].topics: should be a valid list, not 'y'",
        ),
        ({'seed': None}, 'missing key: seed'),
        ({'steps': 'many'}, "steps: should be a valid integer, not 'many'"),
        ({'steps': True}, 'steps: should be a valid integer, not True'),
        ({'normalise_matching': 1}, 'normalise_matching: should be a valid boolean, not 1'),
        ({'learning_rate': '1e-3'}, 'YAML reads 1e-3 as text; write 1.0e-3'),
        ({'schedule': 'step'}, "schedule: should be 'constant' or 'cosine', not 'step'"),
        (
            {'loss': 'ssim+mse'},
            "loss: 'ssim+mse' is unknown; join some of ssim, l1, charbonnier, psnr",
        ),
        ({'shape': 'huge'}, "shape: 'huge' is unknown; known are reference, fast"),
        ({'shape': {'channel': 8, 'units': 1}}, "unknown key 'channel'; did you mean 'channels'?"),
        ({'crop': 60}, 'crop 60 must be a multiple of 8'),
        ({'steps': 0}, 'steps: should be greater than or equal to 1, not 0'),
        ({'validation': [5]}, 'validation [5] must be two numbers'),
        (
            {'validation': [20, 10]},
            'validation [20, 10] must be two numbers, the first and the last',
        ),
        ({'ema': 1.5}, 'ema: should be less than or equal to 1, not 1.5'),
        ({'sensor': 1.5}, 'sensor: should be less than or equal to 1, not 1.5'),
        ({'sensor': -0.5}, 'sensor: should be greater than or equal to 0, not -0.5'),
        (
            {'pairs': {'rain_light': -1.0}},
            'pairs.rain_light.share: should be greater than or equal to 0, not -1.0',
        ),
        ({'synthetic': -0.5}, 'synthetic: should be greater than or equal to 0, not -'),
        ({'layers': -0.5}, 'layers: should be greater than or equal to 0, not -'),
        ({'identity': -0.5}, 'identity: should be greater than or equal to 0, not -'),
        ({'seed': -1}, 'seed: should be greater than or equal to 0, not -'),
        ({'workers': -1}, 'workers: should be greater than or equal to 0, not -'),
        ({'warm_up': -1}, 'warm_up: should be greater than or equal to 0, not -'),
        ({'weight_decay': -0.1}, 'weight_decay: should be greater than or equal to 0, not -'),
        ({'matching': -1.0}, 'matching: should be greater than or equal to 0, not -'),
        ({'crops_per_image': 0}, 'crops_per_image: should be greater than or equal to 1, not 0'),
        *[
            (
                {'shape': {'channels': 8, 'units': 1} | {name: 0}},
                'shape: channels, units, scales and unshuffle must be at least 1',
            )
            for name in ('channels', 'units', 'scales', 'unshuffle')
        ],
        ({'pairs': {'rain_light': 0.0}}, 'no source of crops'),
        (
            {'real': {'crops_per_frame': 0}},
            'real.crops_per_frame: should be greater than or equal to 1, not 0',
        ),
        ({'clip': float('nan')}, 'clip: should be a finite number, not nan'),
        ({'matching': 1.0}, 'matching 1.0 needs real rain; give real bags or folders'),
        ({'teacher': 0.5}, 'teacher 0.5 needs real rain; give real bags or folders'),
        (
            {'teacher': 0.5, 'real': {'folders': ['real']}},
            'teacher has to know something; name trained weights in start',
        ),
        ({'synthetic': 0.5}, 'take their backgrounds from clean, which is empty'),
        (
            {'real': {'bags': [{'path': 'x'}], 'validation_bags': [{'path': 'x'}]}},
            'a bag is in both bags and validation_bags',
        ),
    ],
)
def test_what_is_wrong_is_named_with_the_way_out(
    tmp_path: Path, changes: dict, message: str
) -> None:
    path = quick(tmp_path, **changes)

    with pytest.raises(ConfigError) as caught:
        read_config(path)

    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    path = quick(tmp_path, seed=None, steps=0, crop=None, learning_rat=1.0)

    with pytest.raises(ConfigError) as caught:
        read_config(path)

    assert str(caught.value).splitlines() == [
        f'{path}: missing key: seed, crop',
        f'{path}: steps: should be greater than or equal to 1, not 0',
        f"{path}: unknown key 'learning_rat'; did you mean 'learning_rate'?",
    ]


def test_what_is_no_yaml_is_named(tmp_path: Path) -> None:
    for content in (b'steps: [', 'steps: 5  # für heute'.encode('latin-1'), b'a: 2024-13-45'):
        (tmp_path / 'broken.yaml').write_bytes(content)

        with pytest.raises(ConfigError, match=r'broken\.yaml: not a readable YAML file'):
            read_config(tmp_path / 'broken.yaml')
