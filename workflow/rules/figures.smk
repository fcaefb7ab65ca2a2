# The figures of the paper, as SVG: one job for all protocols and figures, since starting Python takes longer than drawing.


rule examples:
    input:
        manifest=rules.manifest.output.manifest,
        split=expand(rules.split.output, protocol=study.protocols),
        arrays=ancient(ARRAYS),
        digests=DIGESTS,
    output:
        expand(
            f"{RESULTS}/figures/{{protocol}}/transforms.npz", protocol=study.protocols
        ),
    log:
        f"{RESULTS}/logs/examples.log",
    benchmark:
        f"{RESULTS}/benchmarks/examples.tsv"
    resources:
        mem_mb=2000,
        runtime=5,
    params:
        settings=json.dumps(
            {
                protocol: study.example_settings(protocol)
                for protocol in study.protocols
            }
        ),
        code=code_of("cxr.preprocessing.transforms"),
    shell:
        "python -m cxr --log {log} examples --manifest {input.manifest} --settings {params.settings:q}"
        f" --results {RESULTS}"


rule figures:
    input:
        # Of all runs: whatever changes in one of them passes through this table.
        metrics=rules.evaluate.output.table,
        uncertainty=rules.uncertainty.output,
        claims=rules.claims.output.record,
        ablations=rules.ablations.output.record,
        cohort=rules.manifest.output.cohort,
        examples=rules.examples.output,
        paper=[
            f"paper/{name}"
            for name in (
                "comparisons.yaml",
                "experiments.yaml",
                "networks.yaml",
                "published/curves.json",
                "published/results.json",
            )
        ],
    output:
        # Which of them there are depends on what was run.
        paper=report(
            directory(f"{RESULTS}/figures/paper"),
            caption="../report/figure.rst",
            category="Figures",
            patterns=["{figure}.svg"],
            labels={"figure": "{figure}"},
        ),
        transforms=expand(
            f"{RESULTS}/figures/{{protocol}}/transforms.svg", protocol=study.protocols
        ),
    log:
        f"{RESULTS}/logs/figures.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        config=json.dumps(config),
        code=code_of("cxr.figures.draw"),
    shell:
        f"python -m cxr --log {{log}} paper-figures --config {{params.config:q}} --results {RESULTS}"
        f" --published paper/published --figures {RESULTS}/figures"
