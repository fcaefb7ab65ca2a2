# Figures, as SVG: the transforms of each protocol, and training and test of each run that the paper shows in detail.


rule examples:
    input:
        manifest=rules.manifest.output.manifest,
        split=rules.split.output,
        arrays=lambda wildcards: arrays_of(wildcards.protocol, study.experiments),
    output:
        f"{RESULTS}/figures/{{protocol}}/transforms.npz",
    log:
        f"{RESULTS}/logs/{{protocol}}/examples.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{protocol}}/examples.tsv"
    resources:
        mem_mb=2000,
        runtime=5,
    params:
        settings=lambda wildcards: json.dumps(
            study.example_settings(wildcards.protocol)
        ),
        code=code_of("cxr.transforms"),
    shell:
        "python -m cxr --log {log} examples --manifest {input.manifest} --split {input.split} --arrays {input.arrays}"
        " --settings {params.settings:q} --examples {output}"


rule transforms_figure:
    input:
        examples=rules.examples.output,
        cohort=rules.manifest.output.cohort,
    output:
        f"{RESULTS}/figures/{{protocol}}/transforms.svg",
    log:
        f"{RESULTS}/logs/{{protocol}}/transforms_figure.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{protocol}}/transforms_figure.tsv"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code_of("cxr.figures"),
    shell:
        "python -m cxr --log {log} transforms-figure --examples {input.examples} --cohort {input.cohort} --figure {output}"


rule figures:
    input:
        runs=expand(f"{RESULTS}/runs/{{run}}/{{file}}", run=SHOWN, file=FILES),
        cohort=rules.manifest.output.cohort,
        published=["paper/published/curves.json", "paper/published/results.json"],
    output:
        expand(
            f"{RESULTS}/figures/{{run}}/{{figure}}.svg",
            run=SHOWN,
            figure=["loss", "accuracy", "confusion_matrix", "roc"],
        ),
    log:
        f"{RESULTS}/logs/figures.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        runs=json.dumps(
            {
                f"{protocol}/{experiment}/seed-{seed}": study.catalogue["experiments"][
                    experiment
                ].get("published")
                for protocol, experiment, seed in study.shown_runs()
            }
        ),
        code=code_of("cxr.figures"),
    shell:
        f"python -m cxr --log {{log}} figures --runs {{params.runs:q}} --results {RESULTS} --published paper/published"
