# For ESP-IDF: where kernels and weights lie. Include it before idf_component_register().

# Set RESULT to a new linker fragment that puts the objects of SOURCES, of the component that is
# being read, where SCHEME says (noflash_text: code in IRAM; noflash_data: constants in DRAM); to
# nothing if there are none, and while ESP-IDF only asks for requirements.
function(nano_fragment result scheme)
    set(${result} "" PARENT_SCOPE)
    if(CMAKE_BUILD_EARLY_EXPANSION OR NOT ARGN)
        return()
    endif()
    set(objects "")
    foreach(source ${ARGN})
        get_filename_component(object "${source}" NAME_WE)
        list(APPEND objects "    ${object} (${scheme})")
    endforeach()
    list(REMOVE_DUPLICATES objects)
    list(JOIN objects "\n" entries)
    string(MAKE_C_IDENTIFIER "${COMPONENT_NAME}_${scheme}" name)
    set(fragment "${CMAKE_CURRENT_BINARY_DIR}/${name}.lf")
    file(WRITE "${fragment}.new"
        "[mapping:${name}]\narchive: lib${COMPONENT_NAME}.a\nentries:\n${entries}\n")
    configure_file("${fragment}.new" "${fragment}" COPYONLY) # an unchanged file keeps its time
    set(${result} "${fragment}" PARENT_SCOPE)
endfunction()

# Set RESULT to the fragment that puts the weights among SOURCES, a model folder's, into DRAM where
# PLACE is dram, or is empty and Kconfig says so. To nothing where they stay in the flash.
function(nano_weights_fragment result place)
    set(${result} "" PARENT_SCOPE)
    if(NOT place)
        set(place flash)
        if(CONFIG_NANO_WEIGHTS_DRAM)
            set(place dram)
        endif()
    endif()
    if(NOT place MATCHES "^(dram|flash)$")
        message(FATAL_ERROR "NANO_WEIGHTS is ${place}: with ESP-IDF it must be dram or flash.")
    endif()
    if(place STREQUAL "dram")
        set(weights ${ARGN})
        list(FILTER weights INCLUDE REGEX "_weights\\.c$")
        nano_fragment(fragment noflash_data ${weights})
        set(${result} "${fragment}" PARENT_SCOPE)
    endif()
endfunction()

# Have `idf.py flash` write the weights in FOLDER, a model folder, into their partition, if Kconfig
# says that they are there: those that this chip's kernels take.
function(nano_flash_weights folder)
    if(NOT (CONFIG_NANO_WEIGHTS_PARTITION OR CONFIG_NANO_WEIGHTS_PSRAM))
        return()
    endif()
    if(CONFIG_IDF_TARGET_ESP32S3)
        set(targets pie mac16) # a core with PIE, MAC16 and zero-overhead loops
    elseif(CONFIG_IDF_TARGET_ESP32)
        set(targets mac16)
    else()
        set(targets scalar)
    endif()
    foreach(target ${targets} portable)
        file(GLOB images "${folder}/*.${target}.weights")
        if(images)
            esptool_py_flash_to_partition(flash "${CONFIG_NANO_PARTITION}" "${images}")
            return()
        endif()
    endforeach()
    message(FATAL_ERROR "${folder} has no weights to load: nanotool export --loadable")
endfunction()
