# Metrics, uncertainty, baselines, ablations and agreement. From here on everything comes from predictions, without torch.
CONFIG_AND_RESULTS = f"--config {{params.config:q}} --results {RESULTS}"


# One job for all runs: a run takes milliseconds, and starting Python takes seconds.
rule evaluate:
    input:
        predictions=expand("{run}/predictions.csv", run=RUNS),
        published=[f"{PAPER}/published/curves.json", f"{PAPER}/published/results.json"],
    output:
        metrics=expand(
            f"{RESULTS}/evaluation/{{place}}/metrics.json", place=study.run_places()
        ),
        table=report(
            f"{RESULTS}/evaluation/metrics.csv",
            caption="../report/metrics.rst",
            category="Tables",
            labels={"table": "metrics"},
        ),
        selection=f"{RESULTS}/evaluation/selection.json",
    log:
        f"{RESULTS}/logs/evaluation/evaluate.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/evaluate.tsv"
    group:
        "paper"
    threads: 8
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        config=json.dumps(config),
        code=code_of("cxr.evaluation.evaluate"),
    shell:
        f"python -m cxr --log {{log}} evaluate --config {{params.config:q}} --results {RESULTS}"
        " --threads {threads}"


rule uncertainty:
    input:
        metrics=rules.evaluate.output.table,
        comparisons=f"{PAPER}/comparisons.yaml",
    output:
        f"{RESULTS}/evaluation/uncertainty.json",
    log:
        f"{RESULTS}/logs/evaluation/uncertainty.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/uncertainty.tsv"
    # The longest of those that wait for the metrics, and the paper waits for all of them.
    priority: 5
    group:
        "paper"
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        config=json.dumps(config),
        code=code_of("cxr.evaluation.uncertainty"),
    shell:
        f"OMP_NUM_THREADS=1 python -m cxr --log {{log}} uncertainty {CONFIG_AND_RESULTS} --uncertainty {{output}}"


# Finished runs that saw the images at another size.
rule other_sizes:
    input:
        archive=OTHER_SIZES or [],
        split=expand(rules.split.output, protocol=study.protocols),
    output:
        f"{RESULTS}/evaluation/other_sizes.json",
    log:
        f"{RESULTS}/logs/evaluation/other_sizes.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/other_sizes.tsv"
    group:
        "paper"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        config=json.dumps(config),
        code=code_of("cxr.evaluation.other_sizes"),
    shell:
        f"OMP_NUM_THREADS=1 python -m cxr --log {{log}} other-sizes {CONFIG_AND_RESULTS}"
        " --archive {input.archive:q} --other-sizes {output}"


rule baselines:
    input:
        manifest=rules.manifest.output.manifest,
        split=expand(rules.split.output, protocol=study.protocols),
        arrays=ancient(ARRAYS),
        digests=DIGESTS,
        lungs=rules.lungs.output.masks,
        features=FEATURES,
    output:
        record=f"{RESULTS}/evaluation/baselines.json",
        predictions=directory(f"{RESULTS}/evaluation/baselines"),
    log:
        f"{RESULTS}/logs/evaluation/baselines.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/baselines.tsv"
    group:
        "paper"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        config=json.dumps(config),
        features=f"--features {' '.join(FEATURES)}" if FEATURES else "",
        code=code_of("cxr.evaluation.baselines"),
    shell:
        f"OMP_NUM_THREADS=1 python -m cxr --log {{log}} baselines {CONFIG_AND_RESULTS} --baselines {{output.record}}"
        " {params.features}"


# What is known of the study's images, measured again.
rule facts:
    input:
        manifest=rules.manifest.output.manifest,
        cohort=rules.manifest.output.cohort,
        duplicates=rules.duplicates.output,
        baselines=rules.baselines.output.record,
        facts=f"{PAPER}/facts.yaml",
        published=f"{PAPER}/published/results.json",
    output:
        f"{RESULTS}/evaluation/facts.json",
    log:
        f"{RESULTS}/logs/evaluation/facts.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/facts.tsv"
    group:
        "paper"
    resources:
        mem_mb=growing(1000),
        runtime=growing(5),
    params:
        code=code_of("cxr.evaluation.facts"),
    shell:
        f"python -m cxr --log {{log}} facts --results {RESULTS}"
        " --published {input.published:q} --facts {output}"


rule ablations:
    input:
        metrics=rules.evaluate.output.table,
        discrepancies=f"{PAPER}/discrepancies.yaml",
    output:
        record=f"{RESULTS}/evaluation/ablations.json",
        table=report(
            f"{RESULTS}/evaluation/ablations.csv",
            caption="../report/ablations.rst",
            category="Tables",
            labels={"table": "ablations"},
        ),
    log:
        f"{RESULTS}/logs/evaluation/ablations.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/ablations.tsv"
    group:
        "paper"
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        config=json.dumps(config),
        code=code_of("cxr.evaluation.ablations"),
    shell:
        f"OMP_NUM_THREADS=1 python -m cxr --log {{log}} ablations {CONFIG_AND_RESULTS}"
        " --ablations {output.record}"


rule agreement:
    input:
        metrics=rules.evaluate.output.table,
        manifest=rules.manifest.output.manifest,
    output:
        f"{RESULTS}/evaluation/agreement.json",
    log:
        f"{RESULTS}/logs/evaluation/agreement.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/agreement.tsv"
    group:
        "paper"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        config=json.dumps(config),
        code=code_of("cxr.evaluation.agreement"),
    shell:
        f"OMP_NUM_THREADS=1 python -m cxr --log {{log}} agreement {CONFIG_AND_RESULTS} --agreement {{output}}"
