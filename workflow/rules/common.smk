# What several rules name: the runs, and what a job that trains reads.
RUN = f"{RESULTS}/training/runs/{{protocol}}/{{experiment}}/seed-{{seed}}"
RUNS = [f"{RESULTS}/training/{place}" for place in study.run_places()]
ARRAYS = [f"{RESULTS}/preprocessing/arrays/{name}.npy" for name in study.all_arrays()]
DIGESTS = [
    f"{RESULTS}/preprocessing/arrays/digests{kind}.json" for kind in study.array_kinds()
]
FEATURES = [
    f"{RESULTS}/training/features/{protocol}/{backbone}.npz"
    for protocol, backbone in study.features()
]

# A job trains one run, or all experiments of a protocol and a seed one after another (config key one_process).
JOB = "all" if config.get("one_process") else "{experiment}"
TOGETHER = study.experiments if config.get("one_process") else [JOB]


def experiments_of(wildcards):
    """The experiments that a job trains."""
    return [wildcards.experiment] if "experiment" in wildcards.keys() else TOGETHER


def runs_of(wildcards):
    """The settings of a job's runs, by their folders."""
    protocol, seed = wildcards.protocol, int(wildcards.seed)
    return {
        RUN.format(
            protocol=protocol, experiment=experiment, seed=seed
        ): study.run_settings(experiment, protocol, seed)
        for experiment in experiments_of(wildcards)
    }


def features_of(wildcards):
    """The features that a job's runs train their heads on."""
    backbones = {
        study.pretrained_backbone(name, wildcards.protocol)
        for name in experiments_of(wildcards)
        if study.uses_features(name, wildcards.protocol)
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
        for name in study.arrays_of(experiment, protocol)
    }
    return ancient(
        expand(f"{RESULTS}/preprocessing/arrays/{{array}}.npy", array=sorted(names))
    )


def digests_of(wildcards):
    """What tells that the arrays of a protocol were made again."""
    return f"{RESULTS}/preprocessing/arrays/digests{study.array_kind(wildcards.protocol)}.json"


def weights_of(wildcards):
    """The pretrained weights that a job's runs start from."""
    backbones = {
        study.pretrained_backbone(name, wildcards.protocol)
        for name in experiments_of(wildcards)
    } - {None}
    return expand(f"{RESULTS}/networks/{{backbone}}.pt", backbone=sorted(backbones))
