# The figures of the paper, as SVG: one job for all protocols and figures, since starting Python takes longer than drawing.


rule figures:
    input:
        # Of all runs: whatever changes in one of them passes through this table.
        metrics=rules.evaluate.output.table,
        uncertainty=rules.uncertainty.output,
        claims=rules.claims.output.record,
        ablations=rules.ablations.output.record,
        agreement=rules.agreement.output,
        cohort=rules.manifest.output.cohort,
        manifest=rules.manifest.output.manifest,
        split=expand(rules.split.output, protocol=FIRST["protocol"]),
        arrays=ancient(ARRAYS),
        digests=DIGESTS,
        duplicates=rules.duplicates.output,
        intensity=rules.intensity.output,
        examples=rules.examples.output,
        first_batch=rules.first_batch.output,
        explanations=EXPLANATIONS,
        paper=[
            f"{PAPER}/{name}"
            for name in (
                "comparisons.yaml",
                "experiments.yaml",
                "figures.yaml",
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
        test_images=f"{RESULTS}/figures/test_images.json",
    log:
        f"{RESULTS}/logs/figures/figures.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures/figures.tsv"
    group:
        "paper"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        config=json.dumps(config),
        code=code_of("cxr.figures.draw"),
    shell:
        f"python -m cxr --log {{log}} figures --config {{params.config:q}} --results {RESULTS}"
        f" --published {quote(PAPER)}/published --figures {RESULTS}/figures"
