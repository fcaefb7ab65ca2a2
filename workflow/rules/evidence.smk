# How sure the numbers are, what simple baselines reach, and which claims of the study hold.
EVIDENCE = f"--config {{params.config:q}} --results {RESULTS}"


rule uncertainty:
    input:
        metrics=rules.evaluate.output.table,
        comparisons="paper/comparisons.yaml",
    output:
        f"{RESULTS}/uncertainty.json",
    log:
        f"{RESULTS}/logs/uncertainty.log",
    benchmark:
        f"{RESULTS}/benchmarks/uncertainty.tsv"
    # The longest of those that wait for the metrics, and the paper waits for all of them.
    priority: 5
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        config=json.dumps(config),
        code=code_of("cxr.evaluation.uncertainty"),
    shell:
        f"OMP_NUM_THREADS=1 python -m cxr --log {{log}} uncertainty {EVIDENCE} --uncertainty {{output}}"


rule baselines:
    input:
        manifest=rules.manifest.output.manifest,
        split=expand(rules.split.output, protocol=study.protocols),
        arrays=ancient(ARRAYS),
        digests=DIGESTS,
        features=FEATURES,
    output:
        record=f"{RESULTS}/baselines.json",
        predictions=directory(f"{RESULTS}/baselines"),
    log:
        f"{RESULTS}/logs/baselines.log",
    benchmark:
        f"{RESULTS}/benchmarks/baselines.tsv"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=json.dumps(config),
        features=f"--features {' '.join(FEATURES)}" if FEATURES else "",
        code=code_of("cxr.evaluation.baselines"),
    shell:
        f"OMP_NUM_THREADS=1 python -m cxr --log {{log}} baselines {EVIDENCE} --baselines {{output.record}}"
        " {params.features}"


rule ablations:
    input:
        metrics=rules.evaluate.output.table,
        discrepancies="paper/discrepancies.yaml",
    output:
        record=f"{RESULTS}/ablations.json",
        table=report(
            f"{RESULTS}/ablations.csv",
            caption="../report/ablations.rst",
            category="Tables",
            labels={"table": "ablations"},
        ),
    log:
        f"{RESULTS}/logs/ablations.log",
    benchmark:
        f"{RESULTS}/benchmarks/ablations.tsv"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        config=json.dumps(config),
        code=code_of("cxr.evaluation.ablations"),
    shell:
        f"OMP_NUM_THREADS=1 python -m cxr --log {{log}} ablations {EVIDENCE}"
        " --ablations {output.record}"


rule claims:
    input:
        metrics=rules.evaluate.output.table,
        preprocessing=expand(rules.normalisation.output, protocol=study.protocols),
        cohort=rules.manifest.output.cohort,
        claims="paper/claims.yaml",
        discrepancies="paper/discrepancies.yaml",
        published=["paper/published/curves.json", "paper/published/results.json"],
    output:
        record=f"{RESULTS}/claims.json",
        table=report(
            f"{RESULTS}/claims.csv",
            caption="../report/claims.rst",
            category="Tables",
            labels={"table": "claims"},
        ),
    log:
        f"{RESULTS}/logs/claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/claims.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        config=json.dumps(config),
        code=code_of("cxr.claims.verdicts"),
    shell:
        f"OMP_NUM_THREADS=1 python -m cxr --log {{log}} claims {EVIDENCE}"
        " --claims {output.record}"
