# What several rules name: the runs, what a job that trains reads, and what jobs ask of a cluster.
import functools

RUN = f"{RESULTS}/training/runs/{{protocol}}/{{experiment}}/seed-{{seed}}"
RUNS = [f"{RESULTS}/training/{place}" for place in study.run_places()]
ARCHIVED = [
    f"{RESULTS}/training/{place}"
    for place in study.run_places()
    if study.is_archived(place)
]
EXPLANATION = f"{RESULTS}/explanation/runs/{{protocol}}/{{experiment}}/seed-{{seed}}"
ARCHIVED_EXPLANATIONS = [
    f"{RESULTS}/explanation/{place}"
    for place in study.explained_places()
    if study.is_archived(place)
]
EXPLANATIONS = [
    f"{RESULTS}/explanation/{place}/explanation.json"
    for place in study.explained_places()
]
ARRAYS = [
    f"{RESULTS}/preprocessing/arrays/{name}.npy" for name in arrays.all_arrays(study)
]
DIGESTS = [
    f"{RESULTS}/preprocessing/arrays/digests{kind}.json"
    for kind in arrays.array_kinds(study)
]
# The images as the networks of the first protocol see them.
FIRST = next(iter(study.protocols))
FIRST_ARRAY = (
    f"{RESULTS}/preprocessing/arrays/{arrays.array_name(study, 1.0, FIRST)}.npy"
)
FIRST_DIGESTS = (
    f"{RESULTS}/preprocessing/arrays/digests{arrays.array_kind(study, FIRST)}.json"
)
FEATURES = [
    f"{RESULTS}/training/features/{protocol}/{backbone}.npz"
    for protocol, backbone in settings.features(study)
]

# The first of the runs, whose first batch is shown.
FIRST = {
    "experiment": study.experiments[0],
    "protocol": next(iter(study.protocols)),
    "seed": config["seeds"][0],
}

# On a CPU, the first thing that is said is how long training takes, where it takes more than half an hour.
LONG = config["device"] == "cpu" and workload.rough_seconds(study) > 1800
ESTIMATE = [f"{RESULTS}/training/estimate.json"] if LONG else []

# A job trains one run, or several one after another: all experiments of a protocol (config key one_process), all seeds
# (seeds_in_one_job), or both.
JOB_EXPERIMENTS = study.experiments if config.get("one_process") else ["{experiment}"]
JOB_SEEDS = config["seeds"] if config.get("seeds_in_one_job") else ["{seed}"]
JOB_NAME = "all" if config.get("one_process") else "{experiment}"
JOB_SEED = "all" if config.get("seeds_in_one_job") else "{seed}"


def outputs_of_runs(name, experiments=JOB_EXPERIMENTS):
    """A file of each run that a job trains."""
    return expand(
        f"{RUN}/{name}", experiment=experiments, seed=JOB_SEEDS, allow_missing=True
    )


def experiments_of(wildcards):
    """The experiments that a job trains."""
    return (
        [wildcards.experiment] if "experiment" in wildcards.keys() else JOB_EXPERIMENTS
    )


def seeds_of(wildcards):
    """The seeds that a job trains with."""
    return [int(wildcards.seed)] if "seed" in wildcards.keys() else JOB_SEEDS


def runs_of(wildcards):
    """The settings of a job's runs, by their folders."""
    protocol = wildcards.protocol
    return {
        RUN.format(
            protocol=protocol, experiment=experiment, seed=seed
        ): settings.run_settings(study, experiment, protocol, seed)
        for experiment in experiments_of(wildcards)
        for seed in seeds_of(wildcards)
    }


def features_of(wildcards):
    """The features that a job's runs train their heads on."""
    backbones = {
        settings.pretrained_backbone(study, name, wildcards.protocol)
        for name in experiments_of(wildcards)
        if settings.uses_features(study, name, wildcards.protocol)
    }
    return expand(
        f"{RESULTS}/training/features/{wildcards.protocol}/{{backbone}}.npz",
        backbone=sorted(backbones),
    )


def arrays_of(protocol, experiments):
    """The arrays that some experiments read under a protocol."""
    names = {
        name
        for experiment in experiments
        for name in arrays.arrays_of(study, experiment, protocol)
    }
    return ancient(
        expand(f"{RESULTS}/preprocessing/arrays/{{array}}.npy", array=sorted(names))
    )


def digests_of(wildcards):
    """What tells that the arrays of a protocol were made again."""
    return f"{RESULTS}/preprocessing/arrays/digests{arrays.array_kind(study, wildcards.protocol)}.json"


def weights_of(wildcards):
    """The pretrained weights that a job's runs start from."""
    backbones = {
        settings.pretrained_backbone(study, name, wildcards.protocol)
        for name in experiments_of(wildcards)
    } - {None}
    return expand(f"{RESULTS}/networks/{{backbone}}.pt", backbone=sorted(backbones))


def growing(amount):
    """Memory in MB or time in minutes, that much more each time a job is submitted again."""
    return lambda wildcards, attempt: amount * attempt


IMAGES = workload.image_count(study)


@functools.cache
def minutes_of_run(protocol, experiment):
    """The minutes that a run asks of a cluster."""
    return workload.minutes_to_ask(study, protocol, experiment, IMAGES)


def minutes_of(wildcards, attempt):
    """The minutes that a job's runs ask of a cluster, with ten for what comes before and after them."""
    minutes = sum(
        minutes_of_run(wildcards.protocol, experiment)
        for experiment in experiments_of(wildcards)
    )
    return attempt * (10 + round(minutes * len(seeds_of(wildcards))))
