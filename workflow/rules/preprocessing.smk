# The sets of each protocol, all images in memory-mapped arrays, and the constants to normalise with.


rule split:
    input:
        manifest=rules.manifest.output.manifest,
    output:
        f"{RESULTS}/preprocessing/{{protocol}}/split.csv",
    log:
        f"{RESULTS}/logs/preprocessing/{{protocol}}/split.log",
    benchmark:
        f"{RESULTS}/benchmarks/preprocessing/{{protocol}}/split.tsv"
    group:
        "preprocessing"
    resources:
        mem_mb=growing(500),
        runtime=growing(5),
    params:
        settings=lambda wildcards: json.dumps(
            settings.split_settings(study, wildcards.protocol)
        ),
        code=code_of("cxr.preprocessing.split"),
    shell:
        "python -m cxr --log {log} split --manifest {input.manifest} --settings {params.settings:q} --split {output}"


# One job for the arrays of all sizes, since decoding takes the longest; each kind has its own, so that a protocol that
# wants another kind makes none of these again.
rule arrays:
    input:
        manifest=rules.manifest.output.manifest,
        cohort=rules.manifest.output.cohort,
    output:
        arrays=expand(
            f"{RESULTS}/preprocessing/arrays/{{size}}px{{kind}}.npy",
            size=arrays.array_sizes(study),
            allow_missing=True,
        ),
        # Too large for Snakemake's checksums, the arrays are read without regard to their dates (ancient). Whoever reads
        # them reads this as well, which says when they were made again.
        digests=f"{RESULTS}/preprocessing/arrays/digests{{kind}}.json",
    log:
        f"{RESULTS}/logs/preprocessing/arrays{{kind}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/preprocessing/arrays{{kind}}.tsv"
    wildcard_constraints:
        kind="(-antialias)?(-average)?",
    # The longest jobs wait for them, and start before the short ones.
    priority: 20
    group:
        "preprocessing"
    threads: 8
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        code=code_of("cxr.preprocessing.arrays"),
    shell:
        "python -m cxr --log {log} arrays --manifest {input.manifest} --cohort {input.cohort}"
        " --arrays {output.arrays} --digests {output.digests} --threads {threads}"


# Masks of the lungs, from the images of the first protocol.
rule lungs:
    input:
        manifest=rules.manifest.output.manifest,
        array=ancient(FIRST_ARRAY),
        digests=FIRST_DIGESTS,
    output:
        masks=f"{RESULTS}/preprocessing/lungs.npz",
        facts=f"{RESULTS}/preprocessing/lungs.json",
    log:
        f"{RESULTS}/logs/preprocessing/lungs.log",
    benchmark:
        f"{RESULTS}/benchmarks/preprocessing/lungs.tsv"
    group:
        "preprocessing"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code_of("cxr.preprocessing.lungs"),
    shell:
        "OMP_NUM_THREADS=1 python -m cxr --log {log} lungs --manifest {input.manifest} --array {input.array}"
        " --lungs {output.masks} --facts {output.facts}"


rule normalisation:
    input:
        manifest=rules.manifest.output.manifest,
        split=rules.split.output,
        array=lambda wildcards: ancient(
            f"{RESULTS}/preprocessing/arrays/{arrays.array_name(study, 1.0, wildcards.protocol)}.npy"
        ),
        digests=digests_of,
        published=f"{PAPER}/published/results.json",
    output:
        f"{RESULTS}/preprocessing/{{protocol}}/preprocessing.json",
    log:
        f"{RESULTS}/logs/preprocessing/{{protocol}}/normalisation.log",
    benchmark:
        f"{RESULTS}/benchmarks/preprocessing/{{protocol}}/normalisation.tsv"
    priority: 20
    group:
        "preprocessing"
    resources:
        mem_mb=growing(3000),
        runtime=growing(10),
    params:
        settings=rules.split.params.settings,
        code=code_of("cxr.preprocessing.normalisation"),
    shell:
        "python -m cxr --log {log} normalisation --manifest {input.manifest} --split {input.split} --array {input.array}"
        " --published {input.published:q} --settings {params.settings:q} --preprocessing {output}"


# Identical and nearly identical images.
rule duplicates:
    input:
        manifest=rules.manifest.output.manifest,
        cohort=rules.manifest.output.cohort,
        split=expand(rules.split.output, protocol=study.protocols),
        arrays=ancient(ARRAYS),
        digests=DIGESTS,
    output:
        f"{RESULTS}/preprocessing/duplicates.json",
    log:
        f"{RESULTS}/logs/preprocessing/duplicates.log",
    benchmark:
        f"{RESULTS}/benchmarks/preprocessing/duplicates.tsv"
    group:
        "preprocessing"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        config=json.dumps(config),
        code=code_of("cxr.preprocessing.duplicates"),
    shell:
        "python -m cxr --log {log} duplicates --config {params.config:q}"
        f" --results {RESULTS} --duplicates {{output}}"


# How bright the images are.
rule intensity:
    input:
        manifest=rules.manifest.output.manifest,
        cohort=rules.manifest.output.cohort,
        arrays=ancient(ARRAYS),
        digests=DIGESTS,
    output:
        f"{RESULTS}/preprocessing/intensity.json",
    log:
        f"{RESULTS}/logs/preprocessing/intensity.log",
    benchmark:
        f"{RESULTS}/benchmarks/preprocessing/intensity.tsv"
    group:
        "preprocessing"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        config=json.dumps(config),
        code=code_of("cxr.preprocessing.intensity"),
    shell:
        "python -m cxr --log {log} intensity --config {params.config:q}"
        f" --results {RESULTS} --intensity {{output}}"


# Some training images under each transform, for the figures.
rule examples:
    input:
        manifest=rules.manifest.output.manifest,
        split=expand(rules.split.output, protocol=study.protocols),
        arrays=ancient(ARRAYS),
        digests=DIGESTS,
    output:
        expand(
            f"{RESULTS}/preprocessing/{{protocol}}/transforms.npz",
            protocol=study.protocols,
        ),
    log:
        f"{RESULTS}/logs/preprocessing/examples.log",
    benchmark:
        f"{RESULTS}/benchmarks/preprocessing/examples.tsv"
    group:
        "preprocessing"
    resources:
        mem_mb=growing(2000),
        runtime=growing(5),
    params:
        settings=json.dumps(
            {
                protocol: settings.example_settings(study, protocol)
                for protocol in study.protocols
            }
        ),
        code=code_of("cxr.preprocessing.examples"),
    shell:
        "python -m cxr --log {log} examples --manifest {input.manifest} --settings {params.settings:q}"
        f" --results {RESULTS}"
